import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

interface Pair {
  readonly certificate: string;
  readonly key: string;
}

/** Paths of PEM files: an authority of the test's own, a server on loopback and a client. */
export interface Certificates {
  readonly authority: string;
  readonly server: Pair;
  readonly client: Pair;
}

/** Makes them with `openssl`, good for one day. The server's names are localhost and 127.0.0.1, the client's is `client`. */
export async function makeCertificates(directory: string): Promise<Certificates> {
  await mkdir(directory, { recursive: true });
  const authority = join(directory, "authority.pem");
  const authorityKey = join(directory, "authority.key");
  await openssl(
    ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ["-subj", "/CN=Test authority", "-days", "1", "-keyout", authorityKey, "-out", authority],
  );
  const sign = async (name: string, names: string): Promise<Pair> => {
    const pair = {
      certificate: join(directory, `${name}.pem`),
      key: join(directory, `${name}.key`),
    };
    const request = join(directory, `${name}.csr`);
    const extensions = join(directory, `${name}.ext`);
    await writeFile(extensions, `subjectAltName=${names}\n`);
    await openssl(
      ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ["-subj", `/CN=${name}`, "-keyout", pair.key, "-out", request],
    );
    await openssl(
      ["x509", "-req", "-in", request, "-CA", authority, "-CAkey", authorityKey],
      ["-CAcreateserial", "-days", "1", "-extfile", extensions, "-out", pair.certificate],
    );
    return pair;
  };
  const server = await sign("server", "DNS:localhost,IP:127.0.0.1");
  const client = await sign("client", "DNS:client");
  return { authority, server, client };
}

async function openssl(...args: readonly (readonly string[])[]): Promise<void> {
  await promisify(execFile)("openssl", args.flat());
}
