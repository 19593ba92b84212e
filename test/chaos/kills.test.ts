import { setTimeout as sleep } from "node:timers/promises";
import { between, faultTest } from "../support/chaos.ts";
import { startLoad } from "../support/chaos-load.ts";
import { sharedStore, withCluster } from "../support/chaos-servers.ts";
import type { Replica } from "../support/cluster.ts";
import { postgresSkip } from "../support/postgres.ts";

faultTest(
  {
    id: "F2",
    fault: "kill -9 of three replicas, each again and again at random moments",
    mechanism: "leases, takeover by looking",
    trials: { short: 50, long: 1_000 },
    skip: postgresSkip,
  },
  async (of) =>
    withCluster({ replicas: 3, of, store: await sharedStore() }, async (cluster) => {
      const load = await startLoad(cluster, of, { environments: 12 });
      let left = of.trials;
      // Each by itself, so that sometimes none of them runs.
      const killAgainAndAgain = async (replica: Replica): Promise<void> => {
        while (left > 0) {
          left -= 1;
          await sleep(between(0, 2_500, of.random));
          await replica.kill();
          await replica.start();
        }
      };
      await Promise.all(cluster.replicas.map((replica) => killAgainAndAgain(replica)));
      const findings = await load.finish();
      return { findings, trials: of.trials, words: `${load.publisher.log.length} commands` };
    }),
);
