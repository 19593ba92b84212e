import { setTimeout as sleep } from "node:timers/promises";
import { SystemClock } from "../../src/adapters/clock/system/index.ts";
import { silentLog } from "../../src/adapters/stores/sqlite/store.fixture.ts";
import { createPostgresStore } from "../../src/adapters/stores/postgres/index.ts";
import { GlasshouseError } from "../../src/domain/errors.ts";
import { timestamp } from "../../src/ports/clock.ts";
import type { Store } from "../../src/ports/store.ts";
import { between, faultTest, nothingFound } from "../support/chaos.ts";
import { sharedPostgres } from "../support/chaos-postgres.ts";
import { postgresSkip } from "../support/postgres.ts";
import { TcpProxy } from "../support/proxy.ts";

const clock = new SystemClock();
const writers = 4;

faultTest(
  {
    id: "F18",
    fault: "the connection to PostgreSQL is cut in a transaction or when its commit is answered",
    mechanism: "marks of commits, read again before anything is repeated",
    trials: { short: 60, long: 2_000 },
    skip: postgresSkip,
  },
  async ({ trials, random, keep }) => {
    const postgres = await sharedPostgres();
    const database = await postgres.database();
    const proxy = await TcpProxy.open(postgres.server.port);
    const url = postgres.server
      .url(database)
      .replace(`:${postgres.server.port}/`, `:${proxy.port}/`);
    const store = await createPostgresStore({ url, clock, log: silentLog });
    const told = new Map<string, "kept" | "refused">();
    keep("told.json", () => JSON.stringify([...told], null, 1));
    try {
      const over = new AbortController();
      const writing = Array.from({ length: writers }, (_, at) =>
        write(store, { at, told, over: over.signal }),
      );
      for (let cuts = 0; cuts < trials; cuts += 1) {
        await (random() < 0.6
          ? proxy.trap({
              direction: "toClient",
              pattern: "COMMIT\0",
              moment: "before",
              skip: Math.floor(random() * 6),
            })
          : proxy.cutAfter("toServer", Math.floor(between(1, 6_000, random))));
        await sleep(between(0, 20, random));
      }
      over.abort();
      await Promise.all(writing);
      const rows = await postgres.server.query(
        `select "subject", count(*)::int as "count" from "event" group by 1`,
        database,
      );
      const counts = new Map(rows.map(({ subject, count }) => [String(subject), Number(count)]));
      const of = (is: string): readonly string[] =>
        [...told].flatMap(([subject, what]) => (what === is ? [subject] : []));
      const kept = of("kept");
      const refused = of("refused");
      return {
        findings: {
          ...nothingFound,
          lost: kept.filter((subject) => !counts.has(subject)),
          doubled: [...counts].filter(([, count]) => count > 1).map(([subject]) => subject),
          broken: refused
            .filter((subject) => counts.has(subject))
            .map((subject) => `${subject} was refused and is there`),
        },
        trials,
        words: `${kept.length} transactions kept, ${refused.length} refused`,
      };
    } finally {
      await store.close();
      await proxy.close();
    }
  },
);

/** One transaction after the other, each with a mark of its own, and what was told of it. */
async function write(
  store: Store,
  of: {
    readonly at: number;
    readonly told: Map<string, "kept" | "refused">;
    readonly over: AbortSignal;
  },
): Promise<void> {
  for (let turn = 0; !of.over.aborted; turn += 1) {
    const subject = `writer${of.at}/${turn}`;
    const event = { type: "run.queued", environmentId: null, subject, data: { turn } } as const;
    try {
      await store.transact(async (tx) => {
        await tx.events.append([event], timestamp(clock));
      });
      of.told.set(subject, "kept");
    } catch (error) {
      if (!(error instanceof GlasshouseError) || error.code !== "unavailable") throw error;
      of.told.set(subject, "refused");
    }
  }
}
