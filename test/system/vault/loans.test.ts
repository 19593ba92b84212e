import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { assertClean, assertFilesClean, processTexts } from "../../support/canary.ts";
import { postgresPrograms } from "../../support/postgres-programs.ts";
import { postgresSkip, TestPostgres } from "../../support/postgres.ts";
import { documentedPolicy } from "../../support/rotation.ts";
import { TestServer } from "../../support/server.ts";
import { Site, until, type CommandView } from "../../support/site.ts";
import { Vault } from "../../support/vault.ts";
import { leaseDatabase } from "../../support/vault-engines.ts";
import { vaultSkip } from "../../support/vault-program.ts";

/** `VAULT_TESTS=full` revokes as often as the promise says. */
const revocations = process.env["VAULT_TESTS"] === "full" ? 200 : 5;

/** Says who it was given, waits while it is held, then does something with it. */
const use = `#!/bin/sh
set -eu
echo "$DB_USER" >> "$1/$GLASSHOUSE_ENVIRONMENT_NAME.users"
echo "the password is $DB_PASSWORD"
[ -z "\${SEEN:-}" ] || printf '%s\\n' "$DB_PASSWORD" >> "$SEEN"
while [ -e "$1/hold" ]; do sleep 0.05; done
PGPASSWORD=$DB_PASSWORD "$2" -h 127.0.0.1 -p "$3" -U "$DB_USER" -c 'select 1' postgres > /dev/null
`;

describe("credentials that Vault makes for steps", { skip: vaultSkip || postgresSkip }, () => {
  let vault: Vault;
  let postgres: TestPostgres;
  let site: Site;
  let seen: string;
  before(async () => {
    const adminPassword = "admin";
    [vault, postgres] = await Promise.all([
      Vault.start(),
      TestPostgres.start({ password: adminPassword }),
    ]);
    const to = { postgres, adminPassword };
    await leaseDatabase(vault, { ...to, role: "shop", ttl: "1h", maxTtl: "2h" });
    await vault.policy("glasshouse", documentedPolicy("lent"));
    seen = join(vault.directory, "seen");
    const granted = {
      DB_USER: "lease:database/creds/shop#username",
      DB_PASSWORD: "lease:database/creds/shop#password",
    };
    site = await Site.open(await options({ uses: { env: { ...granted, SEEN: seen } } }));
    const command = [
      "./use",
      site.outside.directory,
      join(postgresPrograms() ?? "", "psql"),
      `${postgres.port}`,
    ];
    const acts = { create: command, destroy: command };
    const group = { with: acts, outputs: [], retry: { attempts: 1, backoff: "1s" } };
    for (const name of ["uses", "ungranted"])
      await site.register({ name, groups: { web: { more: group } }, files: { use } });
  });
  after(async () => {
    await site.close();
    await vault.close();
    await postgres.remove();
  });

  /** A server whose executor `command` grants this to templates. */
  async function options(templates: object, hasVault = true) {
    const file = join(vault.directory, "glasshouse.yaml");
    await writeFile(file, JSON.stringify({ executors: { command: { templates } } }));
    const args = ["--config", file];
    if (!hasVault) return { env: {}, args };
    const env = {
      GLASSHOUSE_TELEMETRY_LEVEL: "info",
      GLASSHOUSE_VAULT_ADDRESS: vault.url,
      GLASSHOUSE_VAULT_TOKEN: "env:TOKEN_OF_VAULT",
      TOKEN_OF_VAULT: await vault.token(["glasshouse"], { no_default_policy: true }),
    };
    return { env, args };
  }

  async function usersOf(environment: string): Promise<readonly string[]> {
    const text = (await site.outside.read(`${environment}.users`)) ?? "";
    return text.split("\n").filter((line) => line !== "");
  }

  async function existing(): Promise<readonly string[]> {
    const rows = await postgres.query("select rolname from pg_roles where rolname like 'v-%'");
    return rows.map(({ rolname }) => String(rolname));
  }

  /** Begins a run that stands still with what it was lent. */
  async function held(name: string): Promise<CommandView> {
    await site.outside.write("hold");
    const command = await site.ask("POST", "/environments", { body: { name, template: "uses" } });
    await used(name, 1);
    return command;
  }

  function used(name: string, times: number): Promise<readonly string[]> {
    return until(
      () => usersOf(name),
      (users) => users.length >= times,
    );
  }

  function allEnded(): Promise<readonly string[]> {
    return until(existing, (users) => users.length === 0, 30_000);
  }

  test("are another user for each step, gone when it ends, and seen nowhere else", async () => {
    const command = await held("own");
    const [user = ""] = await usersOf("own");
    assert.deepEqual(await existing(), [user]);
    const password = (await readFile(seen, "utf8")).trim();
    for (const { what, bytes } of await processTexts())
      if (what.endsWith("cmdline")) assertClean(what, bytes, [password]);
    await site.outside.remove("hold");
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual(await allEnded(), []);
    assert.equal((await site.destroy("own")).status, "succeeded");
    const [first, second] = await usersOf("own");
    assert.ok(second !== undefined && first !== second);
    await allEnded();
    await assertFilesClean(site.data, (await readFile(seen, "utf8")).trim().split("\n"));
    const [step] = await site.steps(run);
    assert.ok(step !== undefined);
    assert.match(await site.log(step), /the password is \(secret\)/u);
  });

  test(`are made anew when they are revoked under a step, ${revocations} times`, async () => {
    for (let round = 0; round < revocations; round += 1) {
      const name = `revoked-${round}`;
      const command = await held(name);
      await vault.request("PUT", "sys/leases/revoke-prefix/database/creds/shop");
      await site.outside.remove("hold");
      const run = await site.settled(command);
      assert.equal(run.status, "succeeded", run.reason ?? "");
      const users = await usersOf(name);
      assert.equal(users.length, 2, users.join());
      const [step] = await site.steps(run);
      assert.equal(step?.attempts, 1);
      const retried = (await site.events(name)).filter(({ type }) => type === "step.retrying");
      assert.match(JSON.stringify(retried), /credentials-ended/u);
      await site.destroy(name);
    }
    assert.deepEqual(await allEnded(), []);
  });

  test("of a server that was killed are ended by the one that comes after", async () => {
    const command = await held("killed");
    const [left = ""] = await usersOf("killed");
    site.server.kill();
    await site.server.ended;
    assert.deepEqual(await existing(), [left]);
    await site.start();
    await until(existing, (users) => !users.includes(left), 30_000);
    await site.outside.remove("hold");
    const run = await site.runWhen(command, ({ status }) => status !== "running");
    if (run.status !== "succeeded") {
      assert.equal(run.status, "waiting", run.reason ?? "");
      await site.ask("POST", `/runs/${run.id}/retry`);
      await site.runWhen(run, ({ status }) => status === "succeeded");
    }
    assert.notEqual((await usersOf("killed")).at(-1), left);
    assert.deepEqual(await allEnded(), []);
  });

  test("do not hold a step back when Vault is sealed at its end, and are ended afterwards", async () => {
    const command = await held("sealed");
    await vault.seal();
    await site.outside.remove("hold");
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.equal((await existing()).length, 1);
    await vault.unseal();
    assert.deepEqual(await until(existing, (users) => users.length === 0, 60_000), []);
  });

  test("are not for other templates", async () => {
    const run = await site.create("bare", "ungranted");
    assert.equal(run.status, "failed");
    const [step] = await site.steps(run);
    assert.ok(step !== undefined);
    assert.match(await site.log(step), /DB_USER/u);
    assert.deepEqual(await existing(), []);
  });

  test("are waited for while the policy does not allow them", async () => {
    await vault.policy("glasshouse", documentedPolicy());
    const command = await site.ask("POST", "/environments", {
      body: { name: "denied", template: "uses" },
    });
    await until(
      async () => JSON.stringify(await site.steps(await site.runWhen(command, () => true))),
      (steps) => /denies this.*policy/u.test(steps),
    );
    await vault.policy("glasshouse", documentedPolicy("lent"));
    assert.equal((await site.settled(command)).status, "succeeded");
    assert.deepEqual(await allEnded(), []);
  });

  test("are renewed while a step runs for longer", async () => {
    const to = { db_name: "postgres", default_ttl: "2s", max_ttl: "1h" };
    await vault.request("POST", "database/roles/shop", to);
    const command = await held("long");
    await sleep(5_000);
    await site.outside.remove("hold");
    assert.equal((await site.settled(command)).status, "succeeded");
    assert.equal((await usersOf("long")).length, 1);
    assert.deepEqual(await allEnded(), []);
  });

  test("are refused by name where the configuration cannot be meant", async () => {
    const refused = async (value: string, hasVault: boolean): Promise<string> => {
      const data = join(vault.directory, "refused");
      const given = await options({ uses: { env: { A: value } } }, hasVault);
      return TestServer.start({ data, ...given }).then(
        async (server) => server.stop().then(() => "it started"),
        String,
      );
    };
    const key = "executors.command.templates.uses.env.A";
    const wrong = await refused("lease:database/creds/shop", true);
    assert.ok(wrong.includes(`${key} must be lease:<path>#<field>`), wrong);
    const without = await refused("lease:database/creds/shop#username", false);
    assert.ok(without.includes(`${key}: credentials that Vault makes need vault.address`), without);
    await site.server.stop();
    const none = { DB_USER: "lease:database/creds/shop#user", DB_PASSWORD: "x" };
    await site.start(await options({ uses: { env: none } }));
    const run = await site.create("none", "uses");
    const [step] = await site.steps(run);
    assert.match(
      step?.failure?.message ?? "",
      /DB_USER is to get user of .*has password, username/u,
    );
    assert.deepEqual(await allEnded(), []);
  });
});
