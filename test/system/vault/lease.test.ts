import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { SystemClock } from "../../../src/adapters/clock/system/index.ts";
import { KeptLease } from "../../../src/clients/vault/kept-lease.ts";
import { takeLease, type Lease } from "../../../src/clients/vault/lease.ts";
import type { VaultSession } from "../../../src/clients/vault/session.ts";
import { postgresSkip, TestPostgres } from "../../support/postgres.ts";
import { until } from "../../support/site.ts";
import { Vault } from "../../support/vault.ts";
import { leaseDatabase } from "../../support/vault-engines.ts";
import { vaultSkip } from "../../support/vault-program.ts";
import { byToken, openSession } from "../../support/vault-session.ts";

const policy = `
path "database/creds/*" { capabilities = ["read"] }
path "sys/leases/renew/database/creds/*" { capabilities = ["update"] }
path "sys/leases/revoke/database/creds/*" { capabilities = ["update"] }
path "auth/token/lookup-self" { capabilities = ["read"] }`;
const log = { debug() {}, info() {}, warn() {}, error() {} };

describe("a leased secret", { skip: vaultSkip === false ? postgresSkip : vaultSkip }, () => {
  let vault: Vault;
  let postgres: TestPostgres;
  before(async () => {
    const adminPassword = "admin";
    [vault, postgres] = await Promise.all([
      Vault.start(),
      TestPostgres.start({ password: adminPassword }),
    ]);
    const to = { postgres, adminPassword };
    await leaseDatabase(vault, { ...to, role: "short", ttl: "3s", maxTtl: "7s" });
    await leaseDatabase(vault, { ...to, role: "long", ttl: "1h", maxTtl: "2h" });
    await vault.policy("leases", policy);
  });
  after(async () => {
    await vault.close();
    await postgres.remove();
  });

  async function session(token?: string): Promise<VaultSession> {
    const known = token ?? (await vault.token(["leases"], { no_default_policy: true }));
    return openSession({ url: vault.url, login: byToken(known) }).session;
  }

  async function exists(lease: Lease): Promise<boolean> {
    const found = await postgres.query(
      `select 1 from pg_roles where rolname = '${String(lease.data["username"])}'`,
    );
    return found.length === 1;
  }

  async function goes(lease: Lease): Promise<void> {
    await until(
      () => exists(lease),
      (there) => !there,
      10_000,
    );
  }

  test("is taken once however many ask, and revoked at the end", async () => {
    const by = await session();
    const lease = kept(by, "long");
    const [one, two] = await Promise.all([lease.current(), lease.current()]);
    assert.equal(one.id, two.id);
    assert.ok(await exists(one));
    await lease.close();
    await goes(one);
    await by.close();
  });

  test("is renewed, and taken anew before the end of what it may live", async () => {
    const by = await session();
    const lease = kept(by, "short");
    const first = await lease.current();
    const changed = new Promise<void>((resolve) => void lease.watch(resolve));
    await sleep(4_000);
    assert.equal((await lease.current()).id, first.id, "it was not renewed");
    await changed;
    const second = await lease.current();
    assert.notEqual(second.id, first.id);
    assert.ok(await exists(first), "the one before is over before anybody could go over");
    await lease.settled();
    await goes(first);
    assert.ok(await exists(second));
    await lease.close();
    await by.close();
  });

  test("is taken anew when it was revoked: at the next renewal, and at once when it is refused", async () => {
    const by = await session();
    const lease = kept(by, "short");
    const first = await lease.current();
    let changes = 0;
    lease.watch(() => (changes += 1));
    await vault.request("PUT", "sys/leases/revoke", { lease_id: first.id, sync: true });
    await until(
      () => lease.current(),
      ({ id }) => id !== first.id,
      5_000,
    );
    assert.equal(changes, 1);
    const second = await lease.current();
    await lease.doubt(second);
    assert.equal((await lease.current()).id, second.id, "it was in force and was replaced");
    await vault.request("PUT", "sys/leases/revoke", { lease_id: second.id, sync: true });
    // For a second nobody asks again.
    await sleep(1_100);
    await Promise.all([lease.doubt(second), lease.doubt(second)]);
    assert.notEqual((await lease.current()).id, second.id);
    assert.equal(changes, 2);
    await lease.close();
    await by.close();
  });

  test("is taken anew after a login, as it ended with the one before", async () => {
    const tokens = [
      await vault.token(["leases"], { no_default_policy: true }),
      await vault.token(["leases"], { no_default_policy: true }),
    ];
    const login = { kind: "token", token: () => Promise.resolve(tokens[0] ?? "") } as const;
    const { session: by } = openSession({ url: vault.url, login });
    const lease = kept(by, "long");
    const first = await lease.current();
    const [revoked = ""] = tokens.splice(0, 1);
    await vault.request("POST", "auth/token/revoke", { token: revoked });
    await goes(first);
    await by.call({ method: "GET", path: "auth/token/lookup-self", repeatable: true });
    const second = await until(
      () => lease.current(),
      ({ id }) => id !== first.id,
      5_000,
    );
    assert.ok(await exists(second));
    await lease.close();
    await by.close();
  });

  test("waits out a Vault that is sealed", async () => {
    const by = await session();
    const lease = kept(by, "short");
    const first = await lease.current();
    await vault.seal();
    await sleep(3_500);
    await vault.unseal();
    const second = await until(
      () => lease.current(),
      ({ id }) => id !== first.id,
      20_000,
    );
    assert.ok(await exists(second));
    await lease.close();
    await by.close();
  });

  test("is refused by name where a path has none", async () => {
    const by = await session(vault.root);
    await vault.request("POST", "secret/data/plain", { data: { a: "b" } });
    await assert.rejects(takeLease(by, "secret/data/plain"), /secret\/data\/plain has no lease/u);
    await assert.rejects(takeLease(by, "database/creds/none"), /none/u);
    await by.close();
  });
});

function kept(session: VaultSession, role: string): KeptLease {
  return new KeptLease({ session, path: `database/creds/${role}`, clock: new SystemClock(), log });
}
