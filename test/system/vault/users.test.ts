import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { loadConfig } from "../../../src/app/config.ts";
import { busFindings } from "../../../src/app/doctor-bus.ts";
import { storeFindings } from "../../../src/app/doctor-store.ts";
import { lookDeps } from "../../support/look-deps.ts";
import { postgresSkip } from "../../support/postgres.ts";
import { rabbitmqSkip } from "../../support/rabbitmq.ts";
import { RotationSite } from "../../support/rotation.ts";
import { brokerRights, userStatements } from "../../support/vault-engines.ts";
import { until } from "../../support/site.ts";
import { vaultSkip } from "../../support/vault-program.ts";

const skip = [vaultSkip, postgresSkip, rabbitmqSkip].find((why) => why !== false) ?? false;

describe("users of PostgreSQL and RabbitMQ that Vault makes", { skip }, () => {
  let at: RotationSite;
  before(async () => {
    at = await RotationSite.open("9s");
  });
  after(() => at.close());

  async function usersOf(what: "store" | "bus"): Promise<readonly string[]> {
    if (what === "bus") {
      const listed = await at.broker.control(["list_users"]);
      return listed.split("\n").filter((line) => /^(?!guest|user\s)\S/u.test(line));
    }
    const rows = await at.postgres.query("select rolname from pg_roles where rolname like 'v-%'");
    return rows.map(({ rolname }) => String(rolname));
  }

  test("are made as docs/vault.md says", () => {
    const page = readFileSync(join(import.meta.dirname, "../../../docs/vault.md"), "utf8");
    const plain = page.replaceAll(String.raw`\"`, '"');
    for (const part of [userStatements.create, userStatements.revoke, brokerRights])
      assert.ok(plain.includes(part), `docs/vault.md lacks ${part}`);
  });

  test("change hands under load without a command that fails, and leave nothing behind", async () => {
    const { sent, failed } = await at.load(100, at.rotated(3, 90_000));
    assert.deepEqual(failed, []);
    assert.ok(sent > 1_000, `only ${sent} were sent`);
    assert.doesNotMatch(at.site.server.output, /"level":"error"|could not be renewed/u);
    const owners = await at.postgres.query(
      "select distinct tableowner from pg_tables where schemaname = 'public'",
      "environments",
    );
    assert.deepEqual(owners, [{ tableowner: "owner" }]);
    for (const what of ["store", "bus"] as const)
      await until(
        () => usersOf(what),
        (users) => users.length <= 1,
      );
    // Also what listens, what numbers and what renews the worker's lease has gone over.
    const connected = await until(
      () =>
        at.postgres.query(
          "select usename, count(*)::int from pg_stat_activity where usename like 'v-%' group by 1",
        ),
      (users) => users.length === 1,
    );
    assert.deepEqual(
      connected.map(({ usename }) => usename),
      await usersOf("store"),
    );
  });

  test("are replaced when they are revoked under the server", async () => {
    const earlier = at.rotations;
    await at.vault.request("PUT", "sys/leases/revoke-prefix/rabbitmq/creds/glasshouse");
    await at.vault.request("PUT", "sys/leases/revoke-prefix/database/creds/glasshouse");
    const { failed } = await at.load(
      20,
      until(
        async () => at.rotations,
        ({ store, bus }) => store > earlier.store && bus > earlier.bus,
      ),
    );
    assert.deepEqual(failed, []);
  });

  test("are looked at by doctor, and given back at once", async () => {
    const { config } = await loadConfig({ env: at.env, flags: {}, cwd: at.site.directory });
    const findings = [
      ...(await storeFindings(config, lookDeps(at.env))),
      ...(await busFindings(config, lookDeps(at.env))),
    ];
    assert.deepEqual(
      findings.map(({ level, found }) => `${level} ${found.slice(0, 10)}`),
      ["good PostgreSQL", "good the broker"],
    );
    const wrong = await storeFindings(
      { ...config, vault: { ...config.vault, address: undefined } },
      lookDeps(at.env),
    );
    assert.match(wrong[0]?.found ?? "", /store\.credentials is in Vault: it needs vault\.address/u);
    await until(
      () => Promise.all([usersOf("store"), usersOf("bus")]),
      (users) => users.every(({ length }) => length === 1),
    );
  });

  test("are given back when the server stops", async () => {
    await at.site.server.stop();
    for (const what of ["store", "bus"] as const)
      await until(
        () => usersOf(what),
        (users) => users.length === 0,
        5_000,
      );
  });
});
