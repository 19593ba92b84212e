import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { hostAccess, noModuleHosts, secretsOfHosts } from "./module-hosts.ts";

const hosts = {
  logins: [
    { host: "git.example.com", username: "git", password: "word of one" },
    { host: "127.0.0.1:8443", username: "two", password: "word of two" },
  ],
  tokens: [{ host: "registry.example.com", token: 'a "token"' }],
};

describe("what init is given for hosts that want a login", () => {
  let home: string;
  before(() => {
    home = mkdtempSync(join(tmpdir(), "glasshouse-hosts-"));
  });
  after(() => rmSync(home, { recursive: true, force: true }));

  const given = async (product = "Terraform", env: Readonly<Record<string, string>> = {}) => {
    const access = await hostAccess(hosts, { product, env: { HOME: home, ...env } });
    const at = (fd: number): string =>
      access.descriptors.find((one) => one.fd === fd)?.content ?? "";
    return { env: access.env, words: at(4), settings: at(5) };
  };

  test("is nothing where nothing is granted", async () => {
    const access = await hostAccess(noModuleHosts, { product: "Terraform", env: { HOME: home } });
    assert.deepEqual(access, { env: {}, descriptors: [] });
  });

  test("names no secret but in its descriptors", async () => {
    const { env } = await given();
    for (const secret of secretsOfHosts(hosts)) assert.ok(!JSON.stringify(env).includes(secret));
    assert.deepEqual(secretsOfHosts(hosts), ["word of one", "word of two", 'a "token"']);
    assert.equal(env["TF_CLI_CONFIG_FILE"], "/dev/fd/5");
  });

  test("is the login of its host alone, by git's own rules, and in the place of the machine's helpers", async () => {
    const { env, words } = await given();
    const file = join(home, "words");
    writeFileSync(file, words);
    writeFileSync(join(home, ".gitconfig"), "[credential]\n  helper = !echo password=of-machine\n");
    const ask = (host: string): string =>
      execFileSync("git", ["credential", "fill"], {
        input: `protocol=https\nhost=${host}\n\n`,
        env: Object.fromEntries(
          Object.entries({ PATH: process.env["PATH"] ?? "", HOME: home, ...env }).map(
            ([name, value]) => [name, value.replace("/dev/fd/4", file)],
          ),
        ),
        stdio: ["pipe", "pipe", "ignore"],
      }).toString();
    assert.match(ask("git.example.com"), /username=git\npassword=word of one\n/u);
    assert.match(ask("127.0.0.1:8443"), /username=two\npassword=word of two\n/u);
    assert.throws(() => ask("other.example.com"));
  });

  test("keeps what the CLI's own configuration says, in HCL", async () => {
    writeFileSync(join(home, ".terraformrc"), "disable_checkpoint = true\n");
    const block = 'credentials "registry.example.com" {\n  token = "a \\"token\\""\n}\n';
    assert.equal((await given()).settings, `disable_checkpoint = true\n\n${block}`);
    writeFileSync(join(home, ".tofurc"), "# of OpenTofu\n");
    assert.equal((await given("OpenTofu")).settings, `# of OpenTofu\n\n${block}`);
    const said = { TF_CLI_CONFIG_FILE: join(home, "not-there") };
    assert.equal((await given("Terraform", said)).settings, `\n${block}`);
  });

  test("keeps what the CLI's own configuration says, in JSON", async () => {
    const path = join(home, "cli.json");
    const own = { a: 1, credentials: { "x.example.com": { token: "x" } } };
    writeFileSync(path, JSON.stringify(own));
    const said = { TF_CLI_CONFIG_FILE: path };
    assert.deepEqual(JSON.parse((await given("Terraform", said)).settings), {
      a: 1,
      credentials: {
        "x.example.com": { token: "x" },
        "registry.example.com": { token: 'a "token"' },
      },
    });
    writeFileSync(path, "{ not json");
    await assert.rejects(given("Terraform", said), /cli\.json cannot be read.*mend the file/u);
  });
});
