import { setTimeout as sleep } from "node:timers/promises";
import { Connection } from "rabbitmq-client";
import pg from "pg";
import { busNames } from "../../src/contract/bus.ts";
import {
  faultTest,
  full,
  joined,
  nothingFound,
  type Trials,
  type Tried,
} from "../support/chaos.ts";
import { judgeNotices, sharedBus, type Bus } from "../support/chaos-broker.ts";
import { BusListener, BusPublisher } from "../support/chaos-bus.ts";
import type { Upstream } from "../support/cluster.ts";
import { startLoad } from "../support/chaos-load.ts";
import { sharedStore, withCluster } from "../support/chaos-servers.ts";
import type { Cluster } from "../support/cluster.ts";
import { postgresSkip } from "../support/postgres.ts";
import { rabbitmqSkip } from "../support/rabbitmq.ts";

const skip = postgresSkip === false ? rabbitmqSkip : postgresSkip;

faultTest(
  {
    id: "F16",
    fault: "a listener's queue is full and refuses what is published",
    mechanism: "the journal keeps what is not confirmed",
    trials: { short: 2, long: 50 },
    skip,
  },
  (of) =>
    meanwhile(of, async ({ bus, cluster }) => {
      const connection = new Connection({ url: bus.direct });
      connection.on("error", () => undefined);
      const queue = "full";
      const limits = { "x-max-length": 1, "x-overflow": "reject-publish" } as const;
      await connection.queueDeclare({ queue, durable: true, arguments: limits });
      await connection.queueBind({ queue, exchange: busNames.events, routingKey: "#" });
      const slow = await slowestAnswer(cluster, full ? 10_000 : 4_000);
      await connection.queueDelete({ queue });
      await connection.close();
      return slow;
    }),
);

faultTest(
  {
    id: "F16",
    fault: "the broker has no memory left (alarm) and blocks publishers",
    mechanism: "the journal keeps what is not confirmed",
    trials: { short: 1, long: 20 },
    skip,
  },
  (of) =>
    meanwhile(of, async ({ bus, cluster }) => {
      await bus.broker.control(["set_vm_memory_high_watermark", "absolute", "1MB"]);
      const slow = await slowestAnswer(cluster, full ? 10_000 : 4_000);
      await bus.broker.control(["set_vm_memory_high_watermark", "0.4"]);
      return slow;
    }),
);

interface Scene {
  readonly cluster: Cluster;
  readonly bus: Bus;
}

/** REST goes on as ever while the bus takes nothing, and what was not told then is told afterwards, in order. */
async function meanwhile(of: Trials, bad: (scene: Scene) => Promise<number>): Promise<Tried> {
  const bus = await sharedBus();
  return withCluster({ replicas: 2, of, store: await sharedStore(), bus }, async (cluster) => {
    const listener = new BusListener(bus.direct);
    try {
      await listener.ready();
      const load = await startLoad(cluster, of);
      let slowestMs = 0;
      for (let times = 0; times < of.trials; times += 1) {
        await sleep(1_000);
        slowestMs = Math.max(slowestMs, await bad({ cluster, bus }));
      }
      const findings = joined(await load.finish(), await judgeNotices(cluster, listener));
      const broken =
        slowestMs < mostMs
          ? []
          : [`an answer took ${slowestMs.toFixed(0)} ms while the bus was full`];
      const words = `${load.publisher.log.length} commands, ${listener.received} notices, slowest answer ${slowestMs.toFixed(0)} ms`;
      return { findings: joined(findings, { ...nothingFound, broken }), trials: of.trials, words };
    } finally {
      await listener.close();
    }
  });
}

/** Far above what an answer takes on a quiet machine, far below any time limit of the bus. */
const mostMs = 2_000;

/** Asks for a list again and again for so long. */
async function slowestAnswer(cluster: Cluster, forMs: number): Promise<number> {
  const end = performance.now() + forMs;
  let slowestMs = 0;
  while (performance.now() < end) {
    const began = performance.now();
    await cluster.any.request("GET", "/api/v1/environments?limit=10");
    slowestMs = Math.max(slowestMs, performance.now() - began);
    await sleep(50);
  }
  return slowestMs;
}

const clients = 200;

faultTest(
  {
    id: "F20",
    fault: `${clients} clients while the few connections to PostgreSQL are held up by a lock`,
    mechanism: "a bounded wait, a typed 503; leases have connections of their own",
    trials: { short: clients, long: clients },
    skip: postgresSkip,
  },
  async (of) => {
    const env = { GLASSHOUSE_STORE_POOL: "2", GLASSHOUSE_ENGINE_LEASE: "6s" };
    const store = await sharedStore();
    return withCluster({ replicas: 2, of, env, store }, async (cluster) => {
      await cluster.register({ name: "watched", groups: 1, width: 1 });
      const letGo = await holdCommands(store);
      const asked = Promise.all(
        Array.from({ length: clients }, async (_, at) => answerTo(cluster, at)),
      );
      // Longer than a lease, so that one that could not be renewed would have ended.
      await sleep(8_000);
      const health = await cluster.any.send("GET", "/livez");
      await letGo();
      const answers = await asked;
      const strange = answers.filter(({ kind }) => kind === "strange").map(({ words }) => words);
      const lapsed = cluster.replicas.filter(({ output }) =>
        output.includes("lease of this server has ended"),
      );
      const broken = [
        ...strange,
        ...lapsed.map(({ name }) => `the lease of ${name} has ended`),
        ...(health.status === 200 ? [] : [`/livez answered ${health.status}`]),
      ];
      const count = (kind: string): number =>
        answers.filter((answer) => answer.kind === kind).length;
      const words = `${count("taken")} taken, ${count("refused")} refused with 503 and Retry-After`;
      return { findings: { ...nothingFound, broken }, trials: answers.length, words };
    });
  },
);

/** A server keeps what it was given for twenty seconds before it gives it back to the queue. */
const heldMs = 25_000;

faultTest(
  {
    id: "F20",
    fault: `commands come over the bus while that lock is held for ${heldMs / 1_000} s`,
    mechanism: "a store that cannot be used is nobody's fault: commands wait in their queue",
    trials: { short: 60, long: 300 },
    skip,
  },
  async (of) => {
    const env = { GLASSHOUSE_STORE_POOL: "2" };
    const [store, bus] = await Promise.all([sharedStore(), sharedBus()]);
    return withCluster({ replicas: 2, of, env, store, bus }, async (cluster) => {
      await cluster.register({ name: "watched", groups: 1, width: 1 });
      const publisher = new BusPublisher({ url: bus.direct, source: "chaos" });
      try {
        const letGo = await holdCommands(store);
        for (let at = 0; at < of.trials; at += 1)
          await publisher.confirm({
            id: `c${at}`,
            type: "run.cancel",
            subject: "run_none",
            data: {},
          });
        await sleep(heldMs);
        await letGo();
        const lost = await missing(store, of.trials);
        const dead = await publisher.count(busNames.deadLetters);
        const broken = dead === 0 ? [] : [`${dead} were laid with the dead letters`];
        const words = `${of.trials - lost.length} taken once it was let go`;
        return { findings: { ...nothingFound, lost, broken }, trials: of.trials, words };
      } finally {
        await publisher.close();
      }
    });
  },
);

/** Nobody can read or write a command until the function that it gives is called. */
async function holdCommands(store: Upstream): Promise<() => Promise<void>> {
  const holder = new pg.Client({ connectionString: store.url(store.port) });
  holder.on("error", () => undefined);
  await holder.connect();
  await holder.query("begin");
  await holder.query(`lock table "command" in access exclusive mode`);
  return async () => {
    await holder.query("rollback");
    await holder.end();
  };
}

/** Of the commands c0, c1 and so on, those that the inbox does not have within a minute. */
async function missing(store: Upstream, sent: number): Promise<readonly string[]> {
  const client = new pg.Client({ connectionString: store.url(store.port) });
  await client.connect();
  try {
    const deadline = performance.now() + 60_000;
    for (;;) {
      const { rows } = await client.query<{ id: string }>(
        `select "sourceId" as "id" from "command" where "source" = 'chaos'`,
      );
      const there = new Set(rows.map(({ id }) => id));
      const lost = Array.from({ length: sent }, (_, at) => `c${at}`).filter((id) => !there.has(id));
      if (lost.length === 0 || performance.now() > deadline) return lost;
      await sleep(500);
    }
  } finally {
    await client.end();
  }
}

interface Answered {
  readonly kind: "taken" | "refused" | "strange";
  readonly words: string;
}

async function answerTo(cluster: Cluster, at: number): Promise<Answered> {
  const server = cluster.living[at % cluster.living.length];
  const name = `c${at}`;
  const body = { type: "environment.create", subject: name, data: { name, template: "watched" } };
  const answer = await server?.send("POST", "/api/v1/commands", { body, limitMs: 60_000 });
  const status = answer?.status ?? 0;
  const words = `${status} ${JSON.stringify(answer?.body)}`;
  if (status === 202) return { kind: "taken", words };
  const isTyped = status === 503 && answer?.headers.get("retry-after") !== null;
  return { kind: isTyped ? "refused" : "strange", words };
}
