import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Connection } from "../../../src/clients/postgres/connection.ts";
import { Pool } from "../../../src/clients/postgres/pool.ts";
import { prepared } from "../../../src/clients/postgres/statement-text.ts";
import { targetsOf } from "../../../src/clients/postgres/target.ts";
import { tookEffect } from "../../../src/adapters/stores/postgres/commit-mark.ts";
import type { PostgresStore } from "../../../src/adapters/stores/postgres/index.ts";
import { markCommit } from "../../../src/adapters/stores/postgres/transaction.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { insertWork, stepAt, claimOne } from "../../../src/testing/store-contract-data.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";
import { TcpProxy } from "../../support/proxy.ts";

const limits = { connectMs: 5_000, statementMs: 5_000, lockMs: 5_000, idleInTransactionMs: 1_000 };

describe("a commit whose connection is lost", { skip: postgresSkip }, () => {
  const clock = new FakeClock();
  let stores: StoreServer;
  before(async () => {
    stores = await StoreServer.start(clock);
  });
  after(() => stores.server.remove());

  /** A store of one connection behind a proxy, and one that sees what became of it. */
  async function through(
    fn: (of: {
      readonly store: PostgresStore;
      readonly seen: PostgresStore;
      readonly proxy: TcpProxy;
    }) => Promise<void>,
  ): Promise<void> {
    const database = await stores.database();
    const proxy = await TcpProxy.open(stores.server.port);
    const url = stores.server.url(database).replace(`:${stores.server.port}/`, `:${proxy.port}/`);
    // Nobody but the test commits: the index of search does not follow.
    const quiet = { pool: 1, restMs: 1_000_000 };
    const store = await stores.open(database, { clock, url, limits: quiet });
    const seen = await stores.open(database, { clock });
    try {
      await fn({ store, seen, proxy });
    } finally {
      await Promise.all([store.close(), seen.close()]);
      await proxy.close();
    }
  }

  // By its name, as a store that opens has committed already, so that the word is not handed over again.
  const pattern = `${prepared("commit").name ?? ""}\0`;
  // Statements go out together, so answers to those before it come first.
  const committed = "COMMIT\0";

  it("took effect, and is not repeated", async () => {
    await through(async ({ store, seen, proxy }) => {
      let times = 0;
      const sprung = proxy.trap({
        direction: "toServer",
        pattern,
        moment: "answer",
        answer: committed,
      });
      const given = await store.transact(async (tx) => {
        times += 1;
        await tx.audits.append(anEntry(`${times}`));
        // What was sent is answered by then: the first answer behind the trap is that of the commit's own statements.
        await tx.time();
        return times;
      });
      await sprung;
      assert.equal(given, 1);
      assert.deepEqual(await entries(seen), ["1"]);
    });
  });

  it("did not take effect, and runs again", async () => {
    await through(async ({ store, seen, proxy }) => {
      let times = 0;
      const sprung = proxy.trap({ direction: "toServer", pattern, moment: "before" });
      const given = await store.transact(async (tx) => {
        times += 1;
        await tx.audits.append(anEntry(`${times}`));
        return times;
      });
      await sprung;
      assert.equal(given, 2);
      assert.deepEqual(await entries(seen), ["2"]);
    });
  });

  it("claims a step once, whichever of the two it was", async () => {
    for (const moment of ["answer", "before"] as const) {
      await through(async ({ store, seen, proxy }) => {
        const work = await insertWork({ store: seen, clock });
        const sprung = proxy.trap({ direction: "toServer", pattern, moment, answer: committed });
        const claim = await claimOne({ store, clock });
        await sprung;
        assert.deepEqual([claim.step.id, claim.step.token], [stepAt(work, 0).id, 1]);
        const attempts = await seen.read((tx) => tx.steps.attempts(claim.step.id));
        assert.equal(attempts.length, 1, moment);
      });
    }
  });

  it("fails when it comes after somebody was told that it did not take effect", async () => {
    const database = await stores.database();
    const [target] = targetsOf({ url: stores.server.url(database), limits });
    assert.ok(target);
    const late = await Connection.open(target);
    const pool = new Pool({
      size: 2,
      waitMs: 1_000,
      silentMs: 10_000,
      open: () => Connection.open(target),
    });
    await late.query("begin");
    await late.query(`insert into "blob" values ('x', false, ?, now())`, [new Uint8Array(1)]);
    assert.equal(await tookEffect(pool, { connection: late.id, number: 1 }), false);
    await assert.rejects(late.query(markCommit, [late.id, 1]), /commitMark_number_check/u);
    assert.equal((await late.query("commit")).command, "ROLLBACK");
    await late.end();
    await pool.close();
    assert.deepEqual(await stores.server.query(`select * from "blob"`, database), []);
  });

  it("is waited for while it is under way", async () => {
    const database = await stores.database();
    const [target] = targetsOf({ url: stores.server.url(database), limits });
    assert.ok(target);
    const slow = await Connection.open(target);
    const pool = new Pool({
      size: 2,
      waitMs: 1_000,
      silentMs: 10_000,
      open: () => Connection.open(target),
    });
    await slow.query("begin");
    await slow.query(markCommit, [slow.id, 7]);
    let known: boolean | null = null;
    const asked = tookEffect(pool, { connection: slow.id, number: 7 }).then((answer) => {
      known = answer;
      return answer;
    });
    await new Promise((resolve) => {
      setTimeout(resolve, 200);
    });
    assert.equal(known, null);
    await slow.query("commit");
    assert.equal(await asked, true);
    await slow.end();
    await pool.close();
  });
});

function anEntry(id: string) {
  return { id, time: "t", actor: "a", action: "x", subject: "s", commandId: null, detail: null };
}

async function entries(store: PostgresStore): Promise<readonly string[]> {
  const { items } = await store.read((tx) => tx.audits.list({ limit: 10, cursor: null }));
  return items.map(({ id }) => id);
}
