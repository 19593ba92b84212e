import { fakeExecutor } from "../../src/testing/fake-executor.ts";
import { sampleGroup, sampleTemplate } from "../../src/testing/samples.ts";
import { faultTest, nothingFound } from "../support/chaos.ts";
import { onPostgres, sharedPostgres } from "../support/chaos-postgres.ts";
import { postgresSkip } from "../support/postgres.ts";
import { createWorld, type World } from "../support/world.ts";

const replicas = 10;

faultTest(
  {
    id: "F8",
    fault: "ten replicas race for each of many runs at once",
    mechanism: "claims under row locks, one winner each",
    trials: { short: 50, long: 1_000 },
    skip: postgresSkip,
  },
  async ({ trials, keep }) => {
    const acted: { readonly step: string; readonly replica: number }[] = [];
    keep("acted.json", () => JSON.stringify(acted, null, 1));
    const worlds = await open(acted);
    try {
      const [first] = worlds;
      if (first === undefined) throw new Error("there is no replica");
      const body = sampleTemplate({ a: sampleGroup({}), b: sampleGroup({}) });
      const template = await first.template(body);
      const runs = await Promise.all(
        Array.from({ length: trials }, async (_, at) => worlds[at % replicas]?.create(template)),
      );
      const lost: string[] = [];
      for (const run of runs) {
        const ended = await first.ended(run?.id ?? "");
        if (ended.status !== "succeeded") lost.push(`run ${ended.id} is ${ended.status}`);
      }
      const counts = Map.groupBy(acted, ({ step }) => step);
      const doubled = [...counts.values()]
        .filter((times) => times.length > 1)
        .map((times) => JSON.stringify(times));
      const winners = new Set(acted.map(({ replica }) => replica)).size;
      if (counts.size !== 2 * trials) lost.push(`${counts.size} of ${2 * trials} steps were done`);
      const words = `${counts.size} steps, won by ${winners} replicas`;
      return { findings: { ...nothingFound, lost, doubled }, trials: runs.length, words };
    } finally {
      await Promise.all(worlds.map((world) => world.close()));
    }
  },
);

async function open(
  acted: { readonly step: string; readonly replica: number }[],
): Promise<readonly World[]> {
  const database = await (await sharedPostgres()).database();
  const store = await onPostgres(database, { pool: 4 });
  const worlds: World[] = [];
  for (let replica = 0; replica < replicas; replica += 1) {
    const executor = fakeExecutor({
      act: async ({ stepId }) => void acted.push({ step: stepId, replica }),
    });
    worlds.push(await createWorld({ executors: [executor], ...store }));
  }
  return worlds;
}
