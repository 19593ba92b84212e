import assert from "node:assert/strict";
import { it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fakeExecutor } from "../../../src/testing/fake-executor.ts";
import { sampleGroup, sampleTemplate } from "../../../src/testing/samples.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";
import { createWorld } from "../../support/world.ts";
import { SystemClock } from "../../../src/adapters/clock/system/index.ts";

it(
  "works on no more steps at once than it has places, however many end together",
  { skip: postgresSkip },
  async () => {
    const clock = new SystemClock();
    const stores = await StoreServer.start(clock);
    const places = 8;
    let [now, most] = [0, 0];
    const executor = fakeExecutor({
      act: async () => {
        now += 1;
        most = Math.max(most, now);
        // Those that began together end together.
        await sleep(30);
        now -= 1;
      },
    });
    const world = await createWorld({
      executors: [executor],
      settings: { places },
      open: async () => stores.open(await stores.database(), { clock }),
    });
    try {
      const groups = Array.from({ length: 24 }, (_, at) => [`g${at}`, sampleGroup()] as const);
      const template = await world.template(sampleTemplate(Object.fromEntries(groups)));
      const runs = await Promise.all(Array.from({ length: 8 }, () => world.create(template)));
      await Promise.all(runs.map((run) => world.ended(run.id)));
      assert.equal(executor.order("applied").length, runs.length * groups.length);
      assert.equal(most, places);
    } finally {
      await world.close();
      await stores.server.remove();
    }
  },
);
