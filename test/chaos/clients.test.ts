import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { environmentView } from "../../src/contract/rest-environment.ts";
import { between, faultTest, joined, nothingFound } from "../support/chaos.ts";
import type { Cluster } from "../support/cluster.ts";
import { environmentsOf, judge } from "../support/cluster-judge.ts";
import { journalOf } from "../support/crash-judge.ts";
import { linearFaults, type Operation, type Told } from "../support/linear.ts";
import { postgresSkip } from "../support/postgres.ts";
import { RestPublisher } from "../support/publisher.ts";
import { sharedStore, withCluster } from "../support/chaos-servers.ts";

const environments = 10;
const clients = 100;
const groups = 2;

faultTest(
  {
    id: "F37",
    fault: "100 clients give conflicting commands to 10 environments",
    mechanism: "one transaction decides, numbered per environment",
    trials: { short: 400, long: 10_000 },
    skip: postgresSkip,
  },
  async (of) => {
    return withCluster({ replicas: 3, of, store: await sharedStore() }, async (cluster) => {
      await cluster.register({ name: "watched", groups, width: 2, valued: true });
      const publisher = new RestPublisher({
        source: "clients",
        servers: () => cluster.living,
        random: of.random,
      });
      const history = new Map<string, Operation[]>();
      of.keep("history.json", () => JSON.stringify(Object.fromEntries(history), null, 1));
      const each = Math.ceil(of.trials / clients);
      await Promise.all(
        Array.from({ length: clients }, async (_, client) => {
          const name = `e${client % environments}`;
          for (let turn = 0; turn < each; turn += 1) {
            await sleep(between(0, 200, of.random));
            const asking = { cluster, publisher, name, random: of.random, id: `${client}-${turn}` };
            const done = await ask(asking);
            history.set(name, [...(history.get(name) ?? []), ...done]);
          }
        }),
      );
      const findings = await judge(cluster, { sent: publisher.log, groups });
      const broken: string[] = [];
      for (const [name, operations] of history)
        broken.push(
          ...linearFaults(operations, await toldOf(cluster, name)).map(
            (fault) => `${name}: ${fault}`,
          ),
        );
      const all = [...history.values()].flat();
      const count = (is: string): number => all.filter(({ answer }) => answer.is === is).length;
      return {
        findings: joined(findings, { ...nothingFound, broken }),
        trials: count("accepted") + count("refused"),
        words: `${count("accepted")} accepted, ${count("refused")} refused, ${count("seen")} read, in one order each`,
      };
    });
  },
);

interface Asking {
  readonly cluster: Cluster;
  readonly publisher: RestPublisher;
  readonly name: string;
  readonly random: () => number;
  readonly id: string;
}

/** One command, of which some are preceded by a read and some hold only for what was read. */
async function ask({
  cluster,
  publisher,
  name,
  random,
  id,
}: Asking): Promise<readonly Operation[]> {
  const seen = random() < 0.5 ? await read(cluster, name, random) : [];
  const sequence = seen[0]?.answer.is === "seen" ? seen[0].answer.at.sequence : undefined;
  const chance = random();
  const kind = chance < 0.2 ? "create" : chance < 0.9 ? "update" : "destroy";
  const value = `v${id}`;
  const condition = kind === "create" || sequence === undefined ? {} : { ifsequence: sequence };
  const data = {
    create: { name, template: "watched", parameters: { value } },
    update: { parameters: { value } },
    destroy: {},
  }[kind];
  const order = { id, type: `environment.${kind}`, subject: name, data, ...condition };
  const { beganMs, answeredMs, command, code } = await publisher.send(order);
  const answer =
    command === null
      ? ({ is: "refused", code: code ?? "" } as const)
      : ({ is: "accepted", command } as const);
  return [...seen, { kind, value, ...condition, beganMs, answeredMs, answer }];
}

/** Nothing when the name was never used, or no answer came. */
async function read(
  cluster: Cluster,
  name: string,
  random: () => number,
): Promise<readonly Operation[]> {
  const beganMs = performance.now();
  const server = cluster.living[Math.floor(random() * cluster.living.length)];
  const answer = await server?.send("GET", `/api/v1/environments/${name}`).catch(() => null);
  if (answer?.status !== 200) return [];
  const { id, sequence, status, parameters } = environmentView.parse(answer.body);
  const at = { id, sequence, status, value: z.string().parse(parameters["value"]) };
  return [{ kind: "read", beganMs, answeredMs: performance.now(), answer: { is: "seen", at } }];
}

/** All that the journal tells of the lives of a name, one after the other. */
async function toldOf(cluster: Cluster, name: string): Promise<readonly Told[]> {
  const lives = (await environmentsOf(cluster.any))
    .filter((environment) => environment.name === name)
    .toSorted((one, other) => one.createdAt.localeCompare(other.createdAt));
  const told: Told[] = [];
  for (const { id } of lives)
    for (const { type, sequence, commandid } of await journalOf(cluster.any, id))
      told.push({ environmentId: id, sequence, type, commandId: commandid ?? null });
  return told;
}
