import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { chain, templateOf } from "../../../bench/graphs.ts";
import { SystemClock } from "../../../src/adapters/clock/system/index.ts";
import { markCommit } from "../../../src/adapters/stores/postgres/transaction.ts";
import { prepared } from "../../../src/clients/postgres/statement-text.ts";
import { isEnded, type Run } from "../../../src/domain/run.ts";
import type { Store } from "../../../src/ports/store.ts";
import { fakeExecutor } from "../../../src/testing/fake-executor.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";
import { TcpProxy } from "../../support/proxy.ts";
import { until } from "../../support/site.ts";
import { createWorld } from "../../support/world.ts";

const steps = 4;
/** More commits than a run of so many steps has on the connections of its engine. */
const places = 12;

describe(
  "an engine that never hears what came with the answer to a commit",
  { skip: postgresSkip },
  () => {
    const clock = new SystemClock();
    let stores: StoreServer;
    before(async () => {
      stores = await StoreServer.start(clock);
    });
    after(() => stores.server.remove());

    it("asks again, at each commit of a run: the run succeeds and every step acts once", async () => {
      const database = await stores.database();
      const proxy = await TcpProxy.open(stores.server.port);
      const url = stores.server.url(database).replace(`:${stores.server.port}/`, `:${proxy.port}/`);
      const acted: string[] = [];
      const executor = fakeExecutor({
        name: "timer",
        act: async (ctx) => {
          acted.push(ctx.group);
        },
      });
      const open = () => stores.open(database, { clock, url });
      const seen = await stores.open(database, { clock });
      const world = await createWorld({ executors: [executor], open });
      try {
        const template = await world.template(templateOf(chain(steps)));
        let sprung = 0;
        for (let skip = 0; skip < places; skip += 1) {
          acted.length = 0;
          const { id } = await world.create(template);
          void proxy
            .trap({ direction: "toServer", pattern, moment: "answer", answer: committed, skip })
            .then(() => (sprung += 1));
          const run = await endOf(seen, id);
          proxy.clear();
          assert.equal(run.status, "succeeded", `commit ${skip}: ${JSON.stringify(run.failure)}`);
          assert.deepEqual(acted, ["g0", "g1", "g2", "g3"], `commit ${skip}`);
        }
        assert.ok(sprung > steps, `only ${sprung} answers were lost`);
      } finally {
        await Promise.all([world.close(), seen.close()]);
        await proxy.close();
      }
    });
  },
);

// Only what writes marks its commit.
const pattern = `${prepared(markCommit).name ?? ""}\0`;
const committed = "COMMIT\0";

/** Seen past the proxy. */
async function endOf(store: Store, id: string): Promise<Run> {
  const look = () => store.read((tx) => tx.runs.get(id));
  const run = await until(look, (seen) => seen !== null && isEnded(seen));
  assert.ok(run);
  return run;
}
