import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { busNames } from "../../src/contract/bus.ts";
import { environmentView } from "../../src/contract/rest-environment.ts";
import { BusPublisher } from "../support/chaos-bus.ts";
import {
  faultTest,
  full,
  joined,
  nothingFound,
  type Findings,
  type Trials,
  type Tried,
} from "../support/chaos.ts";
import { sharedBus, type Bus } from "../support/chaos-broker.ts";
import { sharedStore, withCluster } from "../support/chaos-servers.ts";
import type { Cluster } from "../support/cluster.ts";
import { judge, settle } from "../support/cluster-judge.ts";
import { journalOf } from "../support/crash-judge.ts";
import { mutated, oversize, poison, type HostileMessage } from "../support/hostile-messages.ts";
import { postgresSkip } from "../support/postgres.ts";
import type { Order, Sent } from "../support/publisher.ts";
import { rabbitmqSkip } from "../support/rabbitmq.ts";

const skip = postgresSkip === false ? rabbitmqSkip : postgresSkip;
const name = "calm";

faultTest(
  {
    id: "F11",
    fault: "every message comes three times",
    mechanism: "the inbox's (source, id)",
    trials: { short: 200, long: 10_000 },
    skip,
  },
  (of) =>
    withEnvironment(of, async ({ cluster, publisher }) => {
      const thrice = async (order: Order): Promise<void> => {
        for (let copy = 0; copy < 3; copy += 1) await publisher.confirm(order);
      };
      await Promise.all(Array.from({ length: of.trials }, async (_, at) => thrice(describing(at))));
      const findings = await effects(cluster, of.trials);
      return { findings, trials: of.trials, words: `${publisher.confirmed} messages` };
    }),
);

faultTest(
  {
    id: "F12",
    fault: "commands for what was read before come late and in any order",
    mechanism: "ifsequence, decided in the transaction",
    trials: { short: 25, long: 1_000 },
    skip,
  },
  (of) =>
    withEnvironment(of, async ({ cluster, publisher }) => {
      const broken: string[] = [];
      for (let shuffle = 0; shuffle < of.trials; shuffle += 1)
        broken.push(...(await shuffled({ cluster, publisher, random: of.random, shuffle })));
      const refused = publisher.log.filter(({ answer }) => answer === "refused").length;
      const took = publisher.log.length - refused - 1;
      if (took === 0) broken.push("no command for what was read took effect");
      return {
        findings: { ...nothingFound, broken },
        trials: of.trials,
        words: `${took} took effect, ${refused} refused`,
      };
    }),
);

for (const [id, fault, of] of [
  ["F13", "poison and hostile messages among good ones", { all: poison, short: 150, long: 10_000 }],
  ["F14", "messages past the limit among good ones", { all: oversize, short: 20, long: 500 }],
] as const)
  faultTest(
    {
      id,
      fault,
      mechanism: "one schema, one limit, dead letters with a reason",
      trials: { short: of.short, long: of.long },
      skip,
    },
    (trials) =>
      withEnvironment(trials, async (scene) => amongGood(scene, { trials, all: of.all() })),
  );

interface Scene {
  readonly cluster: Cluster;
  readonly bus: Bus;
  readonly publisher: BusPublisher;
}

/** Two replicas and one environment that stands, so that an update of its description needs no run. */
async function withEnvironment(of: Trials, use: (scene: Scene) => Promise<Tried>): Promise<Tried> {
  const bus = await sharedBus();
  return withCluster({ replicas: 2, of, store: await sharedStore(), bus }, async (cluster) => {
    const publisher = new BusPublisher({ url: bus.direct, source: "chaos" });
    of.keep("commands.json", () => JSON.stringify(publisher.log, null, 1));
    try {
      await cluster.register({ name: "watched", groups: 1, width: 1, valued: true });
      const data = { name, template: "watched" };
      await publisher.send({ id: "create", type: "environment.create", subject: name, data });
      await settle(cluster.any, 30_000);
      const tried = await use({ cluster, bus, publisher });
      const findings = await judge(cluster, { sent: publisher.log, groups: 1 });
      return { ...tried, findings: joined(tried.findings, findings) };
    } finally {
      await publisher.close();
    }
  });
}

function describing(at: number | string, ifsequence?: number): Order {
  return {
    id: `describe-${at}`,
    type: "environment.update",
    subject: name,
    data: { description: `d${at}` },
    ...(ifsequence === undefined ? {} : { ifsequence }),
  };
}

/** Each command once in the journal; a minute without a further one is too long. */
async function effects(cluster: Cluster, wanted: number): Promise<Findings> {
  let seen = 0;
  let deadline = performance.now() + 60_000;
  for (;;) {
    const told = await journalOf(cluster.any, name);
    const updated = told.filter(({ type }) => type === "environment.updated");
    const commands = Map.groupBy(updated, ({ commandid }) => commandid ?? "");
    const doubled = [...commands].flatMap(([id, events]) => (events.length > 1 ? [id] : []));
    if (commands.size > seen) deadline = performance.now() + 60_000;
    seen = commands.size;
    if (commands.size < wanted && performance.now() < deadline) {
      await sleep(200);
      continue;
    }
    const lost = commands.size < wanted ? [`${wanted - commands.size} of ${wanted}`] : [];
    const more = commands.size > wanted ? [`${commands.size - wanted} more than were sent`] : [];
    return { ...nothingFound, lost, doubled: [...doubled, ...more] };
  }
}

interface Shuffle {
  readonly cluster: Cluster;
  readonly publisher: BusPublisher;
  readonly random: () => number;
  readonly shuffle: number;
}

/** Three commands that hold only for what was read, and one for what was read before: at most one of the three takes effect. */
async function shuffled({
  cluster,
  publisher,
  random,
  shuffle,
}: Shuffle): Promise<readonly string[]> {
  const { sequence, description } = await environment(cluster);
  const orders = [
    describing(`${shuffle}-a`, sequence),
    describing(`${shuffle}-b`, sequence),
    describing(`${shuffle}-c`, sequence),
    describing(`${shuffle}-old`, sequence - 1),
  ]
    .map((order) => ({ order, at: random() }))
    .toSorted((one, other) => one.at - other.at)
    .map(({ order }) => order);
  const answers = await Promise.all(orders.map((order) => publisher.send(order)));
  const accepted = answers.filter(({ answer }) => answer === "accepted");
  const wrongly = answers.filter(({ code }) => code !== null && code !== "precondition-failed");
  const after = await environment(cluster);
  // None: the late one came first, and its refusal is an event of the environment, which moves its sequence too.
  const wanted = accepted[0]?.data["description"] ?? description;
  return [
    ...(accepted.length <= 1
      ? []
      : [`${accepted.length} commands for sequence ${sequence} took effect`]),
    ...wrongly.map(({ id, code }: Sent) => `${id} was refused with ${code}`),
    ...(after.description === wanted
      ? []
      : [`the description is ${after.description}, not ${JSON.stringify(wanted)}`]),
  ];
}

async function environment(cluster: Cluster): Promise<ReturnType<typeof environmentView.parse>> {
  return environmentView.parse(await cluster.any.request("GET", `/api/v1/environments/${name}`));
}

/**
 * Of two replicas. What is collected late comes on top in the long form: of 5,000 such messages a snapshot of a heap shows 5 MB that
 * live, code that was loaded since among them.
 */
const mostRiseMebibytes = full ? 400 : 100;

/** Bad messages with a good one after each few: the good ones take effect, the bad ones are parked or refused. */
async function amongGood(
  { cluster, publisher }: Scene,
  { trials, all }: { readonly trials: Trials; readonly all: readonly HostileMessage[] },
): Promise<Tried> {
  const pids = cluster.living.map(({ pid }) => pid);
  const before = await residentMebibytes(pids);
  let good = 0;
  for (let at = 0; at < trials.trials; at += 1) {
    const bad =
      all[at] ?? (all.length > 10 ? mutated(trials.random, `m${at}`) : all[at % all.length]);
    if (bad === undefined) throw new Error("there is no bad message");
    const { contentType } = bad;
    await publisher.raw(bad.body, {
      type: "environment.update",
      ...(contentType === undefined ? {} : { contentType }),
    });
    if (at % 4 !== 0) continue;
    await publisher.confirm(describing(`good-${at}`));
    good += 1;
  }
  const findings = await effects(cluster, good);
  const left = await drained(publisher);
  const dead = await publisher.count(busNames.deadLetters);
  const rise = (await residentMebibytes(pids)) - before;
  const broken = [
    ...(left === 0 ? [] : [`${left} messages are still in the queue`]),
    ...(rise < mostRiseMebibytes ? [] : [`the replicas grew by ${rise.toFixed(0)} MiB`]),
    ...(cluster.living.map(({ pid }) => pid).join() === pids.join() ? [] : ["a replica has ended"]),
    ...(dead >= Math.min(all.length, trials.trials) ? [] : [`only ${dead} were parked`]),
  ];
  const words = `${dead} parked, ${good} good ones, memory +${rise.toFixed(0)} MiB`;
  return { findings: joined(findings, { ...nothingFound, broken }), trials: trials.trials, words };
}

async function drained(publisher: BusPublisher): Promise<number> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const left = await publisher.count(busNames.commandQueue);
    if (left === 0 || performance.now() > deadline) return left;
    await sleep(500);
  }
}

/** Of all of them together. */
async function residentMebibytes(pids: readonly number[]): Promise<number> {
  const kibibytes = await Promise.all(
    pids.map(async (pid) =>
      Number(/VmRSS:\s+(\d+)/u.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]),
    ),
  );
  return kibibytes.reduce((sum, each) => sum + each, 0) / 1024;
}
