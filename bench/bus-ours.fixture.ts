import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { takeMessage } from "../src/api/bus/command.ts";
import { createLog } from "../src/adapters/telemetry/lines/index.ts";
import { compose, type Composition } from "../src/app/compose.ts";
import { loadConfig } from "../src/app/config.ts";
import type { Template } from "../src/domain/template.ts";
import { Engine } from "../src/engine/engine.ts";
import { Relay } from "../src/engine/relay.ts";
import type { Bus } from "../src/ports/bus.ts";
import { timestamp } from "../src/ports/clock.ts";
import { findCommand } from "../src/services/command.ts";
import { fakeExecutor } from "../src/testing/fake-executor.ts";
import { answerParent, Gate, machineMs, tellParent } from "./bus-child.ts";
import { chain, templateOf } from "./graphs.ts";

/**
 * The server's own parts, put together as `compose` does, with an executor that only says when a step was handed to it.
 * Arguments: data directory, `store.url`, `bus.url`.
 */
async function main([data = "", store = "", bus = ""]: readonly string[]): Promise<void> {
  const log = createLog({ level: "warn", format: "pretty" });
  const key = join(data, "key");
  await writeFile(key, randomBytes(32).toString("base64"), { mode: 0o600 });
  const flags = { data, "store-url": store, "bus-url": bus, "security-key": key };
  const { config } = await loadConfig({ flags, env: {}, cwd: data });
  const parts = await compose(config, log);
  await parts.store.transact((tx) => tx.templates.insert(benchTemplate(parts)));
  const gate = new Gate();
  consume(parts, { gate, log });
  let engine: Engine | null = null;
  let relay: Relay | null = null;
  const stopWork = async (): Promise<void> => {
    await Promise.all([engine?.stop(), relay?.stop()]);
    [engine, relay] = [null, null];
  };
  answerParent({
    ready: async () => {
      // Its queue is there.
      while ((await parts.bus.status()).commands === null) await sleep(20);
      return 0;
    },
    shut: async () => {
      gate.shut();
      return 0;
    },
    take: (count) => gate.take(count),
    /** Runs are worked on and the journal goes out, as in a whole server. */
    work: async () => {
      engine = newEngine(parts);
      relay = new Relay({ ...parts, log });
      relay.start();
      parts.services.starts.use(engine.starter);
      await engine.start();
      return 0;
    },
    /** Every run has ended and all of it is told. */
    idle: async () => {
      const running = async (): Promise<boolean> =>
        parts.store.read(
          async (tx) => (await tx.runs.countQueued()) + (await tx.runs.inFlight()).length > 0,
        );
      while ((await running()) || (await behind(parts)) > 0) await sleep(20);
      return 0;
    },
    rest: async () => {
      await stopWork();
      return 0;
    },
    behind: () => settledBehind(parts),
    relay: () => relayAll(parts, log),
  });
}

function consume(
  { services, accept, clock, bus }: Composition,
  { gate, log }: { readonly gate: Gate; readonly log: ReturnType<typeof createLog> },
): void {
  const api = {
    accept,
    find: (source: string, id: string) => findCommand(services, source, id),
    isStoreUp: async () => (await services.store.health()).status === "up",
    clock,
    log,
  };
  bus.consume(async (message) => {
    await gate.enter();
    const verdict = await takeMessage(api, message);
    if (verdict.outcome !== "taken") throw new Error(`a command was not taken: ${verdict.outcome}`);
    gate.leave();
    return verdict;
  });
}

function newEngine(parts: Composition): Engine {
  const timer = fakeExecutor({
    name: "timer",
    act: async () => tellParent("begun", machineMs()),
  });
  return new Engine({
    ...parts.engine,
    executors: new Map([["timer", timer]]),
    worker: { version: "0.0.0", labels: [] },
    requestDestroy: async () => undefined,
    requestRotation: async () => undefined,
  });
}

/** Until the broker has confirmed all; to ask the store for that again and again would be work that no server does. */
async function relayAll(parts: Composition, log: ReturnType<typeof createLog>): Promise<number> {
  let left = await behind(parts);
  const all = Promise.withResolvers<void>();
  const bus: Pick<Bus, "publish"> = {
    publish: async (notices) => {
      const outcomes = await parts.bus.publish(notices);
      left -= notices.filter(({ kind }) => kind === "event").length;
      if (left <= 0) all.resolve();
      return outcomes;
    },
  };
  const begun = performance.now();
  const once = new Relay({ ...parts, bus, log });
  once.start();
  await all.promise;
  const tookMs = performance.now() - begun;
  await once.stop();
  if ((await behind(parts)) > 0) throw new Error("it was confirmed, and not written down as such");
  return tookMs;
}

/** Events that have not gone out, once all that were written have their position. */
async function settledBehind(parts: Composition): Promise<number> {
  for (let before = -1; ;) {
    const now = await behind(parts);
    if (now === before) return now;
    before = now;
    await sleep(100);
  }
}

/** Events that have not gone out. */
async function behind({ store }: Composition): Promise<number> {
  return store.read(
    async (tx) => (await tx.events.head()) - ((await tx.relays.position("bus")) ?? 0),
  );
}

function benchTemplate({ clock }: Composition): Template {
  const body = templateOf(chain(1));
  return {
    id: clock.id("template"),
    name: body.name,
    version: body.version,
    status: "active",
    description: "",
    tags: {},
    source: { kind: "upload" },
    digest: "0".repeat(64),
    body,
    files: [],
    createdAt: timestamp(clock),
  };
}

await main(process.argv.slice(2));
