import { copyFile, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { connect, type TLSSocket } from "node:tls";
import { Agent, request } from "node:https";
import { makeCertificates, signCertificate, type Certificates, type Pair } from "./certificates.ts";
import { testDirectory, TestServer, type ServerOptions } from "./server.ts";

/** A server that speaks TLS, with certificates of an authority of the test's own in files that it watches. */
export class TlsSite {
  readonly server: TestServer;
  readonly certificates: Certificates;
  /** Of the authority, in PEM. */
  readonly ca: string;
  readonly directory: string;
  /** The files that the server is told of. */
  readonly served: Pair;
  readonly #remove: () => Promise<void>;

  private constructor(
    of: Pick<TlsSite, "server" | "certificates" | "ca" | "directory" | "served"> & {
      readonly remove: () => Promise<void>;
    },
  ) {
    this.server = of.server;
    this.certificates = of.certificates;
    this.ca = of.ca;
    this.directory = of.directory;
    this.served = of.served;
    this.#remove = of.remove;
  }

  static async open(
    more: (certificates: Certificates) => Partial<ServerOptions> = () => ({}),
  ): Promise<TlsSite> {
    const { path, remove } = await testDirectory();
    const certificates = await makeCertificates(join(path, "tls"));
    const ca = await readFile(certificates.authority, "utf8");
    const served = { certificate: join(path, "served.pem"), key: join(path, "served.key") };
    await put(certificates.server, served);
    const { env, ...others } = more(certificates);
    const server = await TestServer.start({
      data: join(path, "data"),
      trust: { ca },
      env: {
        GLASSHOUSE_TELEMETRY_LEVEL: "info",
        GLASSHOUSE_TLS_CERTIFICATE: served.certificate,
        GLASSHOUSE_TLS_KEY: served.key,
        ...env,
      },
      ...others,
    });
    return new TlsSite({ server, certificates, ca, directory: path, served, remove });
  }

  get port(): number {
    return Number(new URL(this.server.url).port);
  }

  /** Makes another certificate of the same names and puts it in place of the one that is served. Gives its serial. */
  async replace(name: string): Promise<string> {
    const pair = await signCertificate(join(this.directory, "tls"), name);
    await put(pair, this.served);
    return serialIn(pair.certificate);
  }

  async close(): Promise<void> {
    await this.server.stop();
    await this.#remove();
  }
}

/** As tools that write certificates do: each file is replaced in one moment, one after the other. */
export async function put(pair: Pair, place: Pair): Promise<void> {
  for (const part of ["certificate", "key"] as const) {
    await copyFile(pair[part], `${place[part]}.new`);
    await rename(`${place[part]}.new`, place[part]);
  }
}

async function serialIn(file: string): Promise<string> {
  const { X509Certificate } = await import("node:crypto");
  return new X509Certificate(await readFile(file)).serialNumber.toLowerCase();
}

/** A connection whose handshake is done, however the certificate looks. */
export async function handshake(port: number, more: object = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...more }, () =>
      resolve(socket),
    );
    socket.on("error", reject);
  });
}

/** The serial of the certificate that a new connection is shown. */
export async function shownSerial(port: number): Promise<string> {
  const socket = await handshake(port);
  const serial = socket.getPeerX509Certificate()?.serialNumber.toLowerCase() ?? "";
  socket.destroy();
  return serial;
}

/** Asks again and again until `done`, on a connection of its own each time, or on kept ones; gives what went wrong. */
export async function askWhile(
  of: { readonly url: string; readonly ca: string; readonly keepAlive: boolean },
  done: Promise<unknown>,
): Promise<{ readonly asked: number; readonly failed: readonly string[] }> {
  const agent = new Agent({ keepAlive: of.keepAlive, ca: of.ca });
  const going = { on: true };
  void done.finally(() => (going.on = false)).catch(() => undefined);
  const failed: string[] = [];
  let asked = 0;
  while (going.on) {
    asked += 1;
    const said = await statusOf(`${of.url}/api/v1/version`, agent);
    if (said !== "200") failed.push(said);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
  agent.destroy();
  return { asked, failed };
}

function statusOf(url: string, agent: Agent): Promise<string> {
  return new Promise((resolve) => {
    const sent = request(url, { agent }, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(String(answer.statusCode)));
      answer.on("error", (error) => resolve(String(error)));
    });
    sent.on("error", (error) => resolve(String(error)));
    sent.end();
  });
}
