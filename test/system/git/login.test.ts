import assert from "node:assert/strict";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { makeCertificates } from "../../support/certificates.ts";
import { assertClean, assertFilesClean, processTexts } from "../../support/canary.ts";
import { GitHost, makeRepository } from "../../support/git-host.ts";
import { testDirectory, TestServer } from "../../support/server.ts";
import { Vault } from "../../support/vault.ts";
import { vaultSkip } from "../../support/vault-program.ts";

const token = "canary-of-the-git-host";
const policy = `
path "secret/data/git" { capabilities = ["read"] }
path "auth/token/lookup-self" { capabilities = ["read"] }`;

describe("a git host that wants a login", { skip: vaultSkip }, () => {
  let directory: Awaited<ReturnType<typeof testDirectory>>;
  let vault: Vault;
  let host: GitHost;
  let address: string;
  let env: Readonly<Record<string, string>>;
  before(async () => {
    directory = await testDirectory();
    vault = await Vault.start();
    await vault.request("POST", "secret/data/git", { data: { token } });
    await vault.policy("git", policy);
    const certificates = await makeCertificates(join(directory.path, "tls"));
    const { certificate, key } = certificates.server;
    const tls = { cert: await readFile(certificate), key: await readFile(key) };
    host = new GitHost({ root: directory.path, token, tls });
    address = await host.listen();
    const work = join(directory.path, "work");
    await cp(join(import.meta.dirname, "../../../templates/hello"), work, { recursive: true });
    makeRepository(work, join(directory.path, "hello.git"));
    env = {
      GIT_SSL_CAINFO: certificates.authority,
      GLASSHOUSE_VAULT_ADDRESS: vault.url,
      GLASSHOUSE_VAULT_TOKEN: "env:TOKEN_OF_VAULT",
      TOKEN_OF_VAULT: await vault.token(["git"], { no_default_policy: true }),
      GLASSHOUSE_TELEMETRY_LEVEL: "debug",
    };
  });
  after(async () => {
    host.close();
    await vault.close();
    await directory.remove();
  });

  /** A server that has this login for hosts. */
  async function start(hosts: object): Promise<TestServer> {
    const file = join(directory.path, "glasshouse.yaml");
    await writeFile(file, JSON.stringify({ git: { hosts } }));
    return TestServer.start({ data: join(directory.path, "data"), args: ["--config", file], env });
  }

  const register = (server: TestServer) =>
    server.send("POST", "/api/v1/templates", {
      body: { repository: `https://${address}/hello.git` },
    });

  function refused(hosts: object): Promise<string> {
    return start(hosts).then(async (server) => server.stop().then(() => "it started"), String);
  }

  test("is given the one of Vault, which is seen nowhere", async () => {
    const server = await start({ [address]: { password: "vault:secret/git#token" } });
    let looked = 0;
    host.during = async () => {
      looked += 1;
      for (const { what, bytes } of await processTexts()) assertClean(what, bytes, [token]);
    };
    const answer = await register(server);
    host.during = async () => {};
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    assert.ok(looked > 1);
    assertClean("the server's log", Buffer.from(server.output), [token]);
    await server.stop();
    await assertFilesClean(join(directory.path, "data"), [token]);
  });

  test("is given none that is for another host, and says what to do", async () => {
    const server = await start({ "git.example.com": { password: "vault:secret/git#token" } });
    host.asked.length = 0;
    const answer = await register(server);
    assert.equal(answer.status, 404);
    assert.match(
      JSON.stringify(answer.body),
      /wants a login that this server has not.*git\.hosts/u,
    );
    assert.ok(host.asked.length > 0 && host.asked.every((one) => one === undefined));
    await server.stop();
  });

  test("is refused by name where it is wrongly written", async () => {
    assert.match(
      await refused({ "https://x": { password: "y" } }),
      /git\.hosts\.https:\/\/x is no host: write host, or host:port/u,
    );
    assert.match(
      await refused({ [address]: { password: "env:NO_SUCH" } }),
      /git\.hosts\.127\.0\.0\.1:\d+\.password: there is no environment variable/u,
    );
    assert.match(await refused({ [address]: { password: "a\nb" } }), /password must be one line/u);
  });
});
