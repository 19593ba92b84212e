import { createPostgresStore } from "../src/adapters/stores/postgres/index.ts";
import { createLog } from "../src/adapters/telemetry/lines/index.ts";
import { fakeExecutor } from "../src/testing/fake-executor.ts";
import { createWorld } from "../test/support/world.ts";
import { answerParent } from "./bus-child.ts";

/** A worker whose steps only wait, at first for nothing. Arguments: `store.url`, places. */
async function main([url = "", places = ""]: readonly string[]): Promise<void> {
  const log = createLog({ level: "error", format: "pretty" });
  let stepMs = 0;
  const timer = fakeExecutor({
    name: "timer",
    act: () =>
      new Promise((resolve) => {
        setTimeout(resolve, stepMs);
      }),
  });
  await createWorld({
    executors: [timer],
    settings: { places: Number(places) },
    open: (clock) => createPostgresStore({ url, clock, log }),
  });
  answerParent({
    ready: async () => 0,
    /** From now on each step waits so long, in milliseconds. */
    wait: async (count) => (stepMs = count),
  });
}

await main(process.argv.slice(2));
