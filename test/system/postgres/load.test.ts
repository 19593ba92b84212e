import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SystemClock } from "../../../src/adapters/clock/system/index.ts";
import type { Clock } from "../../../src/ports/clock.ts";
import { isEnded } from "../../../src/domain/run.ts";
import { fakeExecutor } from "../../../src/testing/fake-executor.ts";
import { chain, templateOf } from "../../../bench/graphs.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";
import { createWorld, type World } from "../../support/world.ts";

const runs = 24;
const steps = 5;

describe("PostgreSQL that restarts under load", { skip: postgresSkip }, () => {
  let stores: StoreServer;
  before(async () => {
    stores = await StoreServer.start(new SystemClock(), { fsync: true });
  });
  after(() => stores.server.remove());

  it("pauses work, which goes on by itself: every step acts once and every run succeeds", async () => {
    const database = await stores.database();
    const acted: string[] = [];
    const executor = fakeExecutor({
      name: "timer",
      act: async (ctx) => {
        acted.push(`${ctx.environment.id} ${ctx.group}`);
        await sleep(20);
      },
    });
    const open = (clock: Clock) => stores.open(database, { clock });
    const worlds = await Promise.all(
      [1, 2].map(() => createWorld({ executors: [executor], open })),
    );
    const [first] = worlds;
    assert.ok(first);
    try {
      const template = await first.template(templateOf(chain(steps)));
      const ids: string[] = [];
      for (let n = 0; n < runs; n += 1) ids.push((await first.create(template)).id);
      for (let n = 0; n < 3; n += 1) {
        await sleep(300);
        await (n === 1 ? stores.server.kill() : stores.server.stop("fast"));
        await sleep(200);
        await stores.server.start();
      }
      const ended = await Promise.all(ids.map((id) => untilEnded(first, id)));
      assert.deepEqual([...new Set(ended)], ["succeeded"]);
      assert.equal(acted.length, runs * steps);
      assert.equal(new Set(acted).size, runs * steps);
    } finally {
      await Promise.all(worlds.map((world) => world.close()));
    }
  });
});

/** How it ended, with why it failed. */
async function untilEnded({ store }: World, id: string): Promise<string> {
  for (let tries = 0; tries < 1_200; tries += 1) {
    const run = await store.read((tx) => tx.runs.get(id)).catch(() => null);
    if (run !== null && isEnded(run))
      return run.failure === null ? run.status : `${run.status}: ${JSON.stringify(run.failure)}`;
    await sleep(50);
  }
  return "late";
}
