import { setTimeout as sleep } from "node:timers/promises";
import { terraformConfigurationFile } from "../../tools/tools-directory.ts";
import {
  between,
  faultTest,
  joined,
  nothingFound,
  type Findings,
  type Trials,
} from "../support/chaos.ts";
import { sharedStore, withCluster } from "../support/chaos-servers.ts";
import { Cloud, judgeCloud, knownThings } from "../support/cloud.ts";
import type { Cluster } from "../support/cluster.ts";
import { leftOver } from "../support/crash-judge.ts";
import { postgresSkip } from "../support/postgres.ts";
import { RestPublisher } from "../support/publisher.ts";
import { engines } from "../system/terraform/engines.ts";

const engine = engines.find(({ skip }) => skip === false) ?? engines[0];

faultTest(
  {
    id: "F3",
    fault: "replicas are restarted one after the other (SIGTERM) while Terraform makes things",
    mechanism: "one SIGINT to Terraform, its state kept in the store",
    trials: { short: 6, long: 100 },
    skip: postgresSkip === false ? (engine?.skip ?? "no terraform") : postgresSkip,
  },
  async (of) => {
    const env = {
      TF_CLI_CONFIG_FILE: terraformConfigurationFile(),
      GLASSHOUSE_EXECUTORS_TERRAFORM_PROGRAM: engine?.path ?? "terraform",
    };
    return withCluster({ replicas: 3, of, env, store: await sharedStore() }, async (cluster) => {
      const cloud = new Cloud(cluster.directory);
      await cloud.open();
      of.keep("cloud", () => cloud.text());
      let findings = nothingFound;
      let restarts = 0;
      for (let round = 0; restarts < of.trials; round += 1) {
        const once = await restartAllWhile({ cluster, cloud, of, round });
        findings = joined(findings, once.findings);
        restarts += once.restarts;
      }
      return { findings, trials: restarts };
    });
  },
);

interface Round {
  readonly cluster: Cluster;
  readonly cloud: Cloud;
  readonly of: Trials;
  readonly round: number;
}

/** Creates an environment of many slow things, and restarts replicas in turn until its run has ended. */
async function restartAllWhile({
  cluster,
  cloud,
  of,
  round,
}: Round): Promise<{ readonly findings: Findings; readonly restarts: number }> {
  const template = { name: `rolling${round}`, things: 30, slowMs: 1_000 };
  const { name } = template;
  await cluster.any.request("POST", "/api/v1/templates", await cloud.template(template));
  const publisher = new RestPublisher({
    source: "f3",
    servers: () => cluster.living,
    random: of.random,
  });
  const data = { name, template: name };
  const { run } = await publisher.send({
    id: name,
    type: "environment.create",
    subject: name,
    data,
  });
  let restarts = 0;
  for (; restarts < 12; restarts += 1) {
    await sleep(between(500, 2_000, of.random));
    const { status } = await cluster.any.run(run ?? "");
    if (status !== "queued" && status !== "running") break;
    const replica = cluster.replicas[restarts % cluster.replicas.length];
    await replica?.stop();
    await replica?.start();
  }
  const settled = await cluster.any.settled(run ?? "", 90_000);
  if (settled.status !== "succeeded") {
    const stuck = [`${name} is ${settled.status}: ${settled.reason}`];
    return { findings: { ...nothingFound, stuck }, restarts };
  }
  const { directory } = cluster;
  const serverPids = cluster.living.map(({ pid }) => pid);
  const broken = await leftOver({ directory, data: directory, serverPids });
  const judged = await judgeCloud(cloud, await knownThings(cluster.any, name), template);
  return { findings: joined(judged, { ...nothingFound, broken }), restarts };
}
