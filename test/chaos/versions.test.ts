import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { faultTest, joined, nothingFound } from "../support/chaos.ts";
import { sharedStore, withCluster } from "../support/chaos-servers.ts";
import type { Cluster, Replica } from "../support/cluster.ts";
import { judge, settle } from "../support/cluster-judge.ts";
import { makeNextVersion, nextVersion } from "../support/next-version.ts";
import { postgresSkip } from "../support/postgres.ts";
import { RestPublisher } from "../support/publisher.ts";

const runs = 100;
const groups = 4;

faultTest(
  {
    id: "F45",
    fault: `replicas go one by one to the next version, which changes the schema, and back, with ${runs} runs in flight`,
    mechanism: "changes that expand, replicas that drain",
    trials: { short: 1, long: 10 },
    skip: postgresSkip,
  },
  async (of) =>
    withCluster({ replicas: 3, of, store: await sharedStore() }, async (cluster) => {
      const folder = join(cluster.directory, "next");
      await mkdir(folder);
      const next = await makeNextVersion(folder);
      await cluster.register({ name: "slow", groups, width: 2, holdSeconds: 3 });
      const publisher = new RestPublisher({
        source: "f45",
        servers: () => cluster.living,
        random: of.random,
      });
      const broken: string[] = [];
      const left: number[] = [];
      for (let times = 0; times < of.trials; times += 1) {
        await order(publisher, times);
        for (const program of [next, undefined]) {
          for (const replica of cluster.replicas) await turn(replica, program);
          broken.push(...(await wrongVersions(cluster, program === next)));
        }
        left.push((await settle(cluster.any, 0)).length);
        await settle(cluster.any, 120_000);
      }
      // On a busy machine the replicas' turns may take longer than the runs, but not every time.
      if (left.every((runsLeft) => runsLeft === 0))
        broken.push("every run had ended before the last replica was back");
      const findings = await judge(cluster, { sent: publisher.log, groups });
      return {
        findings: joined(findings, { ...nothingFound, broken }),
        trials: of.trials,
        words: `${publisher.log.length} runs, ${left.join(" ")} left when the last replica was back`,
      };
    }),
);

async function order(publisher: RestPublisher, times: number): Promise<void> {
  const names = Array.from({ length: runs }, (_, at) => `v${times}-${at}`);
  await Promise.all(
    names.map((name) =>
      publisher.send({
        id: name,
        type: "environment.create",
        subject: name,
        data: { name, template: "slow" },
      }),
    ),
  );
}

async function turn(replica: Replica, program: string | undefined): Promise<void> {
  await replica.stop();
  replica.program = program;
  await replica.start();
}

async function wrongVersions(cluster: Cluster, isNext: boolean): Promise<readonly string[]> {
  const answers = await Promise.all(
    cluster.living.map(async (server) =>
      z.object({ version: z.string() }).parse(await server.request("GET", "/api/v1/version")),
    ),
  );
  return answers
    .filter(({ version }) => (version === nextVersion) !== isNext)
    .map(({ version }) => `a replica runs version ${version}`);
}
