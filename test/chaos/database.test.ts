import { setTimeout as sleep } from "node:timers/promises";
import { between, faultTest, oneOf } from "../support/chaos.ts";
import { startLoad } from "../support/chaos-load.ts";
import { storeOf, withCluster } from "../support/chaos-servers.ts";
import { postgresSkip, TestPostgres } from "../support/postgres.ts";

/** Commits reach the disk, so that a server that is killed has lost none. */
const durable = { fsync: true } as const;

faultTest(
  {
    id: "F17",
    fault: "PostgreSQL is stopped at once (immediate) while a replica recovers from its own kill",
    mechanism: "recovery is tried again until it is done",
    trials: { short: 6, long: 200 },
    skip: postgresSkip,
  },
  async (of) => {
    const postgres = await TestPostgres.start(durable);
    try {
      const store = storeOf(postgres, await postgres.createDatabase());
      return await withCluster({ replicas: 2, of, store }, async (cluster) => {
        const load = await startLoad(cluster, of);
        for (let stops = 0; stops < of.trials; stops += 1) {
          await sleep(between(300, 1_200, of.random));
          const victim = oneOf(cluster.replicas, of.random);
          await victim.kill();
          const starting = victim.startAgainAndAgain();
          await sleep(between(300, 1_500, of.random));
          await postgres.stop("immediate");
          await sleep(between(0, 2_000, of.random));
          await postgres.start();
          await starting;
        }
        return {
          findings: await load.finish(),
          trials: of.trials,
          words: `${load.publisher.log.length} commands`,
        };
      });
    } finally {
      await postgres.remove();
    }
  },
);

faultTest(
  {
    id: "F18",
    fault: "PostgreSQL is killed and a standby promoted in its place",
    mechanism: "connections made anew, commits read again",
    trials: { short: 2, long: 50 },
    skip: postgresSkip,
  },
  async (of) => {
    let primary = await TestPostgres.start(durable);
    const database = await primary.createDatabase();
    let standby = await followed(primary);
    try {
      const store = storeOf(primary, database);
      return await withCluster({ replicas: 2, of, store }, async (cluster) => {
        of.keep("store.txt", async () => (await storeOf(primary, database).dump?.()) ?? "");
        const load = await startLoad(cluster, of);
        for (let failovers = 0; failovers < of.trials; failovers += 1) {
          await sleep(between(1_000, 3_000, of.random));
          await primary.kill();
          await sleep(between(0, 1_000, of.random));
          await standby.query("alter system reset synchronous_standby_names");
          await standby.promote();
          cluster.storeProxy?.retarget(standby.port);
          cluster.storeProxy?.cut();
          await primary.remove();
          primary = standby;
          standby = await followed(primary);
        }
        return {
          findings: await load.finish(),
          trials: of.trials,
          words: `${load.publisher.log.length} commands`,
        };
      });
    } finally {
      await standby.remove();
      await primary.remove();
    }
  },
);

/** A standby that has every commit before it is answered. */
async function followed(primary: TestPostgres): Promise<TestPostgres> {
  const standby = await primary.standby();
  await primary.query("alter system set synchronous_standby_names = 'standby'");
  await primary.query("select pg_reload_conf()");
  return standby;
}
