import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { after, before, describe, test } from "node:test";
import { openSharedSecrets } from "../../../src/adapters/secrets/embedded/index.ts";
import { SystemClock } from "../../../src/adapters/clock/system/index.ts";
import { sharedDataKey } from "../../../src/adapters/stores/postgres/index.ts";
import { postgresSkip } from "../../support/postgres.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { documentedPolicy } from "../../support/rotation.ts";
import { TestServer } from "../../support/server.ts";
import { Site } from "../../support/site.ts";
import { Vault } from "../../support/vault.ts";
import { vaultSkip } from "../../support/vault-program.ts";
import { byToken, openSession } from "../../support/vault-session.ts";
import { sqliteOnly } from "../../support/which-store.ts";

const program = join(import.meta.dirname, "../../../bin/glasshouse");
const vaultKey = "vault:transit/keys/glasshouse";
/** Writes down which secret it was given, when it is made and when it is looked at. */
const keep = `#!/bin/sh
set -eu
printf '%s' "$(grep -o '"token":"[^"]*"' | cut -d '"' -f 4)" > "$1/seen"
`;

describe("a store whose key is wrapped in Vault", { skip: vaultSkip || sqliteOnly }, () => {
  let vault: Vault;
  let site: Site;
  before(async () => {
    vault = await Vault.start();
    await vault.request("POST", "sys/mounts/transit", { type: "transit" });
    await vault.request("POST", "transit/keys/glasshouse");
    await vault.policy("glasshouse", documentedPolicy("key"));
    site = await Site.open({ env: await variables({ GLASSHOUSE_SECURITY_KEY: vaultKey }) });
  });
  after(async () => {
    await site.close();
    await vault.close();
  });

  async function variables(more: Readonly<Record<string, string>>) {
    return {
      GLASSHOUSE_TELEMETRY_LEVEL: "info",
      GLASSHOUSE_VAULT_ADDRESS: vault.url,
      GLASSHOUSE_VAULT_TOKEN: "env:TOKEN_OF_VAULT",
      TOKEN_OF_VAULT: await vault.token(["glasshouse"], { no_default_policy: true }),
      ...more,
    };
  }

  async function restart(more: Readonly<Record<string, string>>): Promise<string> {
    await site.server.stop();
    await site.start({ env: await variables(more) });
    await opensWhatItSealed();
    return site.server.output;
  }

  /** A look at the group opens the sealed parameter. */
  async function opensWhatItSealed(): Promise<void> {
    const { status } = await site.settled(await site.command("environment.refresh", "kept"));
    assert.equal(status, "succeeded");
    assert.equal(await readFile(seen(), "utf8"), "canary");
    await rm(seen());
  }

  function seen(): string {
    return join(site.outside.directory, "seen");
  }

  function wrapped(): Promise<string> {
    return readFile(join(site.data, "keys/data-key"), "utf8");
  }

  test("is opened by the key alone, and by no file", async () => {
    const command = ["./keep", site.outside.directory];
    const inputs = { token: "${{ parameters.token }}" };
    const group = { with: { create: command, observe: command, inputs }, outputs: [] };
    await site.register({
      name: "keeps",
      groups: { web: { more: group } },
      files: { keep },
      more: { parameters: { token: { type: "string", secret: true } } },
    });
    const run = await site.create("kept", "keeps", { parameters: { token: "canary" } });
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.match(await wrapped(), /^vault:v1:/u);
    await assert.rejects(readFile(join(site.data, "keys/root.key")), /ENOENT/u);
    await restart({ GLASSHOUSE_SECURITY_KEY: vaultKey });
    assert.match(await wrapped(), /^vault:v1:/u);
  });

  test("is wrapped anew after the key was rotated", async () => {
    await vault.request("POST", "transit/keys/glasshouse/rotate");
    const output = await restart({ GLASSHOUSE_SECURITY_KEY: vaultKey });
    assert.match(output, /wrapped by the newest version of Vault's key transit\/keys\/glasshouse/u);
    assert.match(await wrapped(), /^vault:v2:/u);
    await vault.request("POST", "transit/keys/glasshouse/config", { min_decryption_version: 2 });
    const again = await restart({ GLASSHOUSE_SECURITY_KEY: vaultKey });
    assert.doesNotMatch(again, /data key was wrapped anew/u);
  });

  test("goes over to a key file, and back to Vault", async () => {
    const file = join(site.directory, "other.key");
    await promisify(execFile)("sh", ["-c", `umask 077; openssl rand -base64 32 > ${file}`]);
    const there = { GLASSHOUSE_SECURITY_KEY: file, GLASSHOUSE_SECURITY_PREVIOUS_KEY: vaultKey };
    assert.match(await restart(there), /wrapped by the key file .*other\.key now/u);
    await restart({ GLASSHOUSE_SECURITY_KEY: file });
    await site.server.stop();
    const refused = await site
      .start({ env: await variables({ GLASSHOUSE_SECURITY_KEY: vaultKey }) })
      .then(() => "it started", String);
    assert.match(refused, /wrapped by a key file, and not by Vault's key.*security\.previousKey/u);
    const back = { GLASSHOUSE_SECURITY_KEY: vaultKey, GLASSHOUSE_SECURITY_PREVIOUS_KEY: file };
    await site.start({ env: await variables(back) });
    await opensWhatItSealed();
    await restart({ GLASSHOUSE_SECURITY_KEY: vaultKey });
  });

  test("is backed up and restored, and opened where Vault's key is", async () => {
    const env = await variables({ GLASSHOUSE_SECURITY_KEY: vaultKey });
    const [backup, data] = [join(site.directory, "backup"), join(site.directory, "restored")];
    const run = (...args: readonly string[]) =>
      promisify(execFile)(program, args, { env: { ...process.env, ...env } });
    const made = await run("backup", backup, "--data", site.data);
    assert.match(made.stderr, /vault:transit\/keys\/glasshouse, is not in it/u);
    await run("restore", backup, "--data", data);
    await site.server.stop();
    const restored = await TestServer.start({ data, env });
    const drift = await restored.send("GET", "/api/v1/environments/kept");
    assert.equal(drift.status, 200);
    await restored.stop();
    const without = { GLASSHOUSE_SECURITY_KEY: vaultKey };
    await assert.rejects(
      TestServer.start({ data, env: without }),
      /security\.key is a key of Vault: it needs vault\.address/u,
    );
    await site.start();
  });

  test("is refused by name when the key is not there, or may not be used", async () => {
    await vault.policy("other", documentedPolicy());
    const start = async (key: string, policy: string): Promise<string> => {
      const env = await variables({ GLASSHOUSE_SECURITY_KEY: key });
      const token = await vault.token([policy], { no_default_policy: true });
      return Site.open({ env: { ...env, TOKEN_OF_VAULT: token } }).then(
        async (opened) => opened.close().then(() => "it started"),
        String,
      );
    };
    assert.match(
      await start("vault:transit/keys/none", "glasshouse"),
      /keys\/none does not open the data key: Vault denies this/u,
    );
    assert.match(await start(vaultKey, "other"), /security\.key.*policy/u);
    assert.match(
      await start("vault:transit/glasshouse", "glasshouse"),
      /must be a key file, or vault:<mount>\/keys\/<name>/u,
    );
  });
});

describe("replicas whose key is wrapped in Vault", { skip: vaultSkip || postgresSkip }, () => {
  test("make one key, and open the same also after it was wrapped anew", async () => {
    const clock = new SystemClock();
    const [vault, server] = await Promise.all([Vault.start(), StoreServer.start(clock)]);
    const { session } = openSession({ url: vault.url, login: byToken(vault.root) });
    try {
      await vault.request("POST", "sys/mounts/transit", { type: "transit" });
      await vault.request("POST", "transit/keys/shared");
      const store = await server.open(await server.database(), { clock });
      const key = { session, key: { mount: "transit", name: "shared" } };
      const place = sharedDataKey(store.files);
      const [one, ...more] = await Promise.all(
        Array.from({ length: 5 }, () => openSharedSecrets({ key }, place)),
      );
      await vault.request("POST", "transit/keys/shared/rotate");
      const late = await Promise.all([
        openSharedSecrets({ key }, place),
        openSharedSecrets({ key }, place),
      ]);
      for (const sealer of [...more, ...late])
        assert.equal(sealer.fingerprint("x"), one?.fingerprint("x"));
      assert.match(Buffer.from((await place.read()) ?? []).toString("utf8"), /^vault:v2:/u);
      await store.close();
    } finally {
      await session.close();
      await vault.close();
      await server.server.remove();
    }
  });
});
