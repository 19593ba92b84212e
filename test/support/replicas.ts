import type { WorkerProcess } from "../../src/domain/worker.ts";
import type { EngineDeps, EngineSettings } from "../../src/engine/deps.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { Executor } from "../../src/ports/executor.ts";
import type { Store } from "../../src/ports/store.ts";
import type { Log } from "../../src/ports/telemetry.ts";
import { FakeClock } from "../../src/testing/fake-clock.ts";
import { FakeLeases } from "../../src/testing/fake-leases.ts";
import { createWorld, type World } from "./world.ts";

/** One of several engines that share a store and a clock, each with a lease of its own. */
export interface Replica {
  readonly engine: Engine;
  readonly leases: FakeLeases;
  /** What it logged. */
  readonly said: readonly string[];
}

export interface Replicas {
  readonly world: World;
  readonly clock: FakeClock;
  /** Starts another one. */
  start(
    executor: Executor,
    settings?: Partial<EngineSettings>,
    deps?: Partial<EngineDeps>,
  ): Promise<Replica>;
  /** Lets time pass bit by bit, with all that it leads to. */
  pass(byMs: number): Promise<void>;
  /** From now on others on the machine see that this replica's process is gone; its children too, unless told otherwise. */
  die(index: number, how?: { readonly childrenLive: boolean }): void;
  close(): Promise<void>;
}

export const leaseMs = 30_000;
const bitMs = 500;

export async function createReplicas(): Promise<Replicas> {
  const clock = new FakeClock();
  const world = await createWorld({ executors: [], start: false, clock });
  const replicas: Replica[] = [];
  const dead = new Set<number>();
  const childrenLive = { still: false };
  const pass = async (byMs: number): Promise<void> => {
    for (let passed = 0; passed < byMs; passed += bitMs) {
      clock.advance(Math.min(bitMs, byMs - passed));
      await quiet();
    }
  };
  return {
    world,
    clock,
    pass,
    start: async (executor, settings = {}, deps = {}) => {
      const said: string[] = [];
      const leases = new FakeLeases({ store: world.store, clock, durationMs: leaseMs });
      const pid = replicas.length;
      const engine = new Engine({
        ...world.deps,
        store: leased(world.store, leases),
        executors: new Map([[executor.name, executor]]),
        settings: { ...world.deps.settings, ...settings },
        log: logTo(said),
        processes: {
          self: async () => processOf(pid),
          isProvenGone: async (other) => dead.has(other.pid),
          isAlive: async () => childrenLive.still,
          awaitGone: async () => undefined,
        },
        ...deps,
      });
      await engine.start();
      await quiet();
      const replica = { engine, leases, said };
      replicas.push(replica);
      return replica;
    },
    die: (index, how = { childrenLive: false }) => {
      dead.add(index);
      childrenLive.still = how.childrenLive;
    },
    close: async () => {
      const stopped = Promise.all(replicas.map(({ engine }) => engine.stop()));
      await pass(5_000);
      await stopped;
      await world.close();
    },
  };
}

export function leased(store: Store, leases: Pick<FakeLeases, "lease">): Store {
  return {
    transact: (fn) => store.transact(fn),
    read: (fn) => store.read(fn),
    search: (fn) => store.search(fn),
    watch: (topic, fn) => store.watch(topic, fn),
    lease: leases.lease,
    health: () => store.health(),
    close: () => store.close(),
  };
}

function processOf(pid: number): WorkerProcess {
  return { host: "h", pid, startTime: "1", bootId: "b", pidNamespace: "pid:[1]" };
}

function logTo(said: string[]): Log {
  const say = (message: string): void => void said.push(message);
  return { debug: () => undefined, info: say, warn: say, error: say };
}

/** Long enough for what a timer or a commit sets off: transactions, their watchers, and theirs. */
async function quiet(): Promise<void> {
  for (let turns = 0; turns < 40; turns += 1)
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
}
