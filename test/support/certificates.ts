import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

export interface Pair {
  readonly certificate: string;
  readonly key: string;
}

/** Paths of PEM files: an authority of the test's own, a server on loopback and a client. */
export interface Certificates {
  readonly authority: string;
  readonly server: Pair;
  readonly client: Pair;
}

/** What is unusual about a certificate. */
export interface Unusual {
  /** How long it is good; a day when left out. Negative: it ended so long ago. */
  readonly days?: number;
  /** Such as `clientAuth`. */
  readonly usage?: string;
}

/** Makes them with `openssl`, good for one day. The server's names are localhost and 127.0.0.1, the client's is `client`. */
export async function makeCertificates(directory: string): Promise<Certificates> {
  await mkdir(directory, { recursive: true });
  const authority = join(directory, "authority.pem");
  await openssl(
    ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ["-subj", "/CN=Test authority", "-days", "1"],
    ["-keyout", join(directory, "authority.key"), "-out", authority],
  );
  const server = await signCertificate(directory, "server");
  const client = await signCertificate(directory, "client");
  return { authority, server, client };
}

/** One more of the authority in this directory, as `<name>.pem` and `<name>.key`; a name that is there already is taken anew. */
export async function signCertificate(
  directory: string,
  name: string,
  { days = 1, usage }: Unusual = {},
): Promise<Pair> {
  const pair = { certificate: join(directory, `${name}.pem`), key: join(directory, `${name}.key`) };
  const request = join(directory, `${name}.csr`);
  const extensions = join(directory, `${name}.ext`);
  const names = name.startsWith("client") ? `DNS:${name}` : "DNS:localhost,IP:127.0.0.1";
  const more = usage === undefined ? "" : `extendedKeyUsage=${usage}\n`;
  await writeFile(extensions, `subjectAltName=${names}\n${more}`);
  await openssl(
    ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ["-subj", `/CN=${name}`, "-keyout", pair.key, "-out", request],
  );
  const authority = join(directory, "authority");
  await openssl(
    ["x509", "-req", "-in", request, "-CA", `${authority}.pem`, "-CAkey", `${authority}.key`],
    ["-CAcreateserial", "-days", String(days), "-extfile", extensions, "-out", pair.certificate],
  );
  return pair;
}

async function openssl(...args: readonly (readonly string[])[]): Promise<void> {
  await promisify(execFile)("openssl", args.flat());
}
