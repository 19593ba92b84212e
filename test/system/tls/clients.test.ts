import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, readFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { setTimeout as sleep } from "node:timers/promises";
import { makeCertificates, signCertificate } from "../../support/certificates.ts";
import { TestServer } from "../../support/server.ts";
import { handshake, put, shownSerial, TlsSite } from "../../support/tls-site.ts";
import { until } from "../../support/site.ts";

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const program = join(import.meta.dirname, "..", "..", "..", "bin", "glasshouse");

/** The command line, as somebody at a shell uses it. */
function glasshouse(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Said> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, timeout: 60_000 };
    execFile(program, args, options, (error, out, err) =>
      resolve({ code: typeof error?.code === "number" ? error.code : 0, out, err }),
    );
  });
}

const status = (server: string, env: Readonly<Record<string, string>> = {}): Promise<Said> =>
  glasshouse(["status", "--server", server], env);

/** The status line of an answer. */
async function asked(socket: TLSSocket, path: string): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  const [chunk] = await new Promise<Buffer[]>((resolve) => {
    socket.once("data", (data: Buffer) => resolve([data]));
  });
  return chunk?.toString("utf8").split("\r\n")[0] ?? "";
}

describe("clients of a server that speaks TLS", () => {
  let at: TlsSite;
  before(async () => {
    at = await TlsSite.open();
  });
  after(() => at.close());

  const trusting = (): Readonly<Record<string, string>> => ({
    GLASSHOUSE_CA: at.certificates.authority,
  });

  test("use it with the file of its authority, to the end of a run and its live events", async () => {
    const { url } = at.server;
    const plain = await status(url, trusting());
    assert.deepEqual([plain.code, plain.err], [0, ""]);
    assert.match(plain.out, /certificate +up +for localhost, 127\.0\.0\.1, good until/u);
    const sample = join(import.meta.dirname, "..", "..", "..", "templates", "hello");
    const target = ["--server", url];
    const registered = await glasshouse(["template", "register", sample, ...target], trusting());
    assert.equal(registered.code, 0, registered.err);
    const create = ["env", "create", "first", "--template", "hello", "--wait", ...target];
    const created = await glasshouse(create, trusting());
    assert.equal(created.code, 0, created.err);
  });

  test("are told what is wrong and the way out", async () => {
    const { url } = at.server;
    const unknown = await status(url);
    assert.match(unknown.err, /of an authority that is not trusted here .* GLASSHOUSE_CA\./u);
    assert.equal(unknown.code, 1);
    const missing = await status(url, { GLASSHOUSE_CA: "/nowhere/ca.pem" });
    assert.match(missing.err, /GLASSHOUSE_CA names a file that cannot be read/u);
    const inClear = await status(url.replace("https:", "http:"));
    assert.match(inClear.err, /if it speaks TLS, its address begins with https:/u);
    const serial = await at.replace("client-name");
    await until(
      () => shownSerial(at.port),
      (shown) => shown === serial,
    );
    const named = await status(url, trusting());
    assert.match(named.err, /is for client-name, not for 127\.0\.0\.1\..*\(tls\.names\)/u);
  });

  test("are told that it has ended by the command line and by doctor, which look where the server says it listens", async () => {
    const data = join(at.directory, "ended");
    const old = await signCertificate(join(at.directory, "tls"), "ended", { days: -1 });
    const served = { certificate: join(at.directory, "e.pem"), key: join(at.directory, "e.key") };
    await put(old, served);
    const env = { GLASSHOUSE_TLS_CERTIFICATE: served.certificate, GLASSHOUSE_TLS_KEY: served.key };
    const server = await TestServer.start({ data, env, trust: { ca: at.ca } });
    try {
      assert.match(server.output, /"level":"error".*The server's certificate is not good now/u);
      assert.match((await status(server.url, trusting())).err, /has ended/u);
      const listen = new URL(server.url).host;
      const said = await glasshouse(["doctor", "--data", data, "--listen", listen], {
        ...env,
        ...trusting(),
      });
      assert.match(said.out, /✖ certificate +for localhost, 127\.0\.0\.1, ended on 20/u);
      assert.match(said.out, /! server +the certificate of https:\S+ has ended/u);
      assert.equal(said.code, 1);
      await put(at.certificates.server, served);
      await until(
        () => status(server.url, trusting()),
        ({ code }) => code === 0,
        20_000,
      );
    } finally {
      await server.stop();
    }
  });

  test("that speak in clear, or an old TLS, are cut off at once", async () => {
    const startedAtMs = performance.now();
    const ended = new Promise((resolve) => {
      const socket = connect(at.port, "127.0.0.1", () =>
        socket.write("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
      );
      socket.resume();
      socket.on("error", () => undefined);
      socket.on("close", resolve);
    });
    await ended;
    assert.ok(performance.now() - startedAtMs < 5_000);
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
    await assert.rejects(handshake(at.port, old), /protocol version/u);
    const last = await handshake(at.port, { maxVersion: "TLSv1.2" });
    assert.equal(last.getProtocol(), "TLSv1.2");
    last.destroy();
    assert.doesNotMatch(at.server.output, /"level":"error"/u);
  });
});

describe("a server that asks its clients for certificates", () => {
  let at: TlsSite;
  before(async () => {
    at = await TlsSite.open(({ authority }) => ({ env: { GLASSHOUSE_TLS_CLIENT_CA: authority } }));
  });

  /** What the client shows. */
  async function own(): Promise<{ readonly cert: Buffer; readonly key: Buffer }> {
    const { certificate, key } = at.certificates.client;
    return { cert: await readFile(certificate), key: await readFile(key) };
  }
  after(() => at.close());

  test("answers probes to anybody, and all else only to those who show one that it trusts", async () => {
    const none = await handshake(at.port);
    assert.match(await asked(none, "/readyz"), / 200 /u);
    for (const path of ["/api/v1/environments", "/metrics", "/readyz?x=/livez", "/%2e/livez"])
      assert.match(await asked(await handshake(at.port), path), / 401 /u);
    assert.match(await asked(await handshake(at.port, await own()), "/api/v1/info"), / 200 /u);
    const old = await signCertificate(join(at.directory, "tls"), "client-old", { days: -1 });
    const ended = { cert: await readFile(old.certificate), key: await readFile(old.key) };
    assert.match(await asked(await handshake(at.port, ended), "/api/v1/environments"), / 401 /u);
    none.destroy();
  });

  test("is not fooled by a session that is taken up again", async () => {
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"]) {
      const first = await handshake(at.port, { maxVersion });
      const sessions: Buffer[] = [];
      first.on("session", (session: Buffer) => sessions.push(session));
      assert.match(await asked(first, "/livez"), / 200 /u);
      await sleep(200);
      const session = sessions.at(-1) ?? first.getSession();
      first.destroy();
      const again = await handshake(at.port, { maxVersion, session });
      assert.equal(again.isSessionReused(), true, maxVersion);
      assert.match(await asked(again, "/api/v1/environments"), / 401 /u, maxVersion);
      again.destroy();
    }
  });

  test("is used by the command line with a certificate, and refuses it with words without", async () => {
    const { authority, client } = at.certificates;
    const target = ["status", "--server", at.server.url];
    const refused = await glasshouse(target, { GLASSHOUSE_CA: authority });
    assert.match(refused.err, /none was shown.*GLASSHOUSE_CLIENT_CERTIFICATE/u);
    assert.equal(refused.code, 4);
    const env = {
      GLASSHOUSE_CA: authority,
      GLASSHOUSE_CLIENT_CERTIFICATE: client.certificate,
      GLASSHOUSE_CLIENT_KEY: client.key,
    };
    const taken = await glasshouse(target, env);
    assert.equal(taken.code, 0, taken.err);
    const other = await glasshouse(target, {
      ...env,
      GLASSHOUSE_CLIENT_KEY: at.certificates.server.key,
    });
    assert.match(other.err, /does not belong to the certificate/u);
  });

  test("trusts those of another authority when its file is another one, and no session of before", async () => {
    const first = await handshake(at.port, await own());
    const sessions: Buffer[] = [];
    first.on("session", (session: Buffer) => sessions.push(session));
    assert.match(await asked(first, "/api/v1/info"), / 200 /u);
    const { authority } = await makeCertificates(join(at.directory, "other"));
    await copyFile(authority, at.certificates.authority);
    process.kill(at.server.pid, "SIGHUP");
    await until(
      async () => asked(await handshake(at.port, await own()), "/api/v1/info"),
      (line) => / 401 /u.test(line),
      10_000,
    );
    const session = sessions.at(-1);
    const again = await handshake(at.port, { ...(await own()), session });
    assert.match(await asked(again, "/api/v1/info"), / 401 /u);
    first.destroy();
  });
});
