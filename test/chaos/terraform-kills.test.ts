import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { terraformConfigurationFile } from "../../tools/tools-directory.ts";
import { runView, stepView } from "../../src/contract/rest-run.ts";
import { between, faultTest, joined, nothingFound, type Findings } from "../support/chaos.ts";
import { withCluster } from "../support/chaos-servers.ts";
import {
  Cloud,
  judgeCloud,
  knownThings,
  processesOf,
  type CloudTemplate,
} from "../support/cloud.ts";
import type { Cluster } from "../support/cluster.ts";
import { RestPublisher } from "../support/publisher.ts";
import { engines } from "../system/terraform/engines.ts";

const engine = engines.find(({ skip }) => skip === false) ?? engines[0];

for (const victim of ["terraform", "terraform-provider-ledger"])
  faultTest(
    {
      id: "F5",
      fault: `kill -9 of ${victim === "terraform" ? "Terraform" : "its provider"} while it makes things`,
      mechanism: "events kept beside the state, suspected leaks named",
      trials: { short: 3, long: 150 },
      skip: engine?.skip ?? "no terraform",
    },
    async (of) => {
      const env = {
        TF_CLI_CONFIG_FILE: terraformConfigurationFile(),
        GLASSHOUSE_EXECUTORS_TERRAFORM_PROGRAM: engine?.path ?? "terraform",
      };
      return withCluster({ replicas: 1, of, env }, async (cluster) => {
        const cloud = new Cloud(cluster.directory);
        await cloud.open();
        of.keep("cloud", () => cloud.text());
        let findings = nothingFound;
        let [kills, leaks] = [0, 0];
        for (let round = 0; kills < of.trials; round += 1) {
          const template = { name: `cloud${round}`, things: 14, slowMs: 400 };
          const once = await killOnce({ cluster, cloud, template, victim, random: of.random });
          findings = joined(findings, once.findings);
          kills += once.killed ? 1 : 0;
          leaks += once.leaks;
        }
        return { findings, trials: kills, words: `${leaks} suspected leaks named` };
      });
    },
  );

interface Round {
  readonly cluster: Cluster;
  readonly cloud: Cloud;
  readonly template: CloudTemplate;
  readonly victim: string;
  readonly random: () => number;
}

/** Creates an environment, kills in the middle, does what a person is asked to do, and looks at the cloud. */
async function killOnce(
  of: Round,
): Promise<{ readonly findings: Findings; readonly killed: boolean; readonly leaks: number }> {
  const { cluster, cloud, template, random } = of;
  const server = cluster.any;
  await server.request("POST", "/api/v1/templates", await cloud.template(template));
  const publisher = new RestPublisher({ source: "f5", servers: () => cluster.living, random });
  const { name } = template;
  const data = { name, template: name };
  const order = { id: name, type: "environment.create", subject: name, data };
  const { run } = await publisher.send(order);
  const began = await beganAt(of);
  await sleep(between(0, 900, random));
  const killed = began && (await kill(of));
  let leaks = 0;
  for (let turn = 0; ; turn += 1) {
    await server.settled(run ?? "");
    const now = runView.parse(await server.request("GET", `/api/v1/runs/${run}`));
    if (now.status === "succeeded") break;
    if (turn > 5) return stuck(`run ${run} is ${now.status}: ${now.reason}`, { killed, leaks });
    const named = await removeLeaks(of, now.id);
    leaks += named.length;
    await publisher.send({
      id: `${name}-retry-${turn}`,
      type: "run.retry",
      subject: now.id,
      data: { acceptLeaks: named },
    });
  }
  const findings = await judgeCloud(cloud, await knownThings(server, name), template);
  return { findings, killed, leaks };
}

function stuck(
  text: string,
  more: { readonly killed: boolean; readonly leaks: number },
): { readonly findings: Findings; readonly killed: boolean; readonly leaks: number } {
  return { ...more, findings: { ...nothingFound, stuck: [text] } };
}

/** Whether the making of a thing has begun: the provider runs. */
async function beganAt({ cluster }: Round): Promise<boolean> {
  for (let turn = 0; turn < 400; turn += 1) {
    const found = await processesOf("terraform-provider-ledger", cluster.directory);
    if (found.length > 0) return true;
    await sleep(10);
  }
  return false;
}

async function kill({ cluster, victim }: Round): Promise<boolean> {
  const pids = await processesOf(victim, cluster.directory);
  for (const pid of pids) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has just ended.
    }
  }
  return pids.length > 0;
}

const stepsPage = z.object({ items: z.array(stepView) });

/** What the service says may exist is looked for and removed by hand, before that is told. */
async function removeLeaks(
  { cluster, cloud, template }: Round,
  run: string,
): Promise<readonly string[]> {
  const { items } = stepsPage.parse(
    await cluster.any.request("GET", `/api/v1/runs/${run}/steps?limit=100`),
  );
  const told = items.flatMap(({ failure }) => [
    failure?.message ?? "",
    ...(failure?.details ?? []).map(({ message }) => message),
  ]);
  const addresses = [...new Set(told.join("\n").match(/ledger_thing\.x\[\d+\]/gu) ?? [])];
  const { there } = await cloud.look();
  for (const address of addresses) {
    const name = `${template.name}-${/\d+/u.exec(address)?.[0]}`;
    for (const thing of there) if (thing.name === name) await cloud.remove(thing);
  }
  return addresses;
}
