import type { Step } from "../../src/domain/step.ts";
import type { Failpoint } from "../../src/engine/deps.ts";
import type { Executor } from "../../src/ports/executor.ts";
import type { Store, Tx } from "../../src/ports/store.ts";
import { createWorld, type World, type WorldOptions } from "./world.ts";

/** Replaces some of a transaction's repositories: a mechanism is switched off by what the replacement leaves out. */
export type Bend = (tx: Tx) => Partial<Tx>;

/** The store with bent transactions. Its own methods stay bound to it. */
export function bent(store: Store, bend: Bend): Store {
  const bending = (tx: Tx): Tx =>
    new Proxy(tx, {
      get: (target, name) => Reflect.get({ ...repositoriesOf(target), ...bend(target) }, name),
    });
  return {
    transact: (fn) => store.transact((tx) => fn(bending(tx))),
    read: (fn) => store.read((tx) => fn(bending(tx))),
    search: (fn) => store.search(fn),
    watch: (topic, fn) => store.watch(topic, fn),
    lease: (worker) => store.lease(worker),
    health: () => store.health(),
    close: () => store.close(),
  };
}

function repositoriesOf(tx: Tx): Tx {
  return {
    shared: tx.shared,
    time: () => tx.time(),
    sure: (look) => tx.sure(look),
    templates: tx.templates,
    environments: tx.environments,
    commands: tx.commands,
    runs: tx.runs,
    steps: tx.steps,
    records: tx.records,
    resources: tx.resources,
    checks: tx.checks,
    secrets: tx.secrets,
    ownedSecrets: tx.ownedSecrets,
    certificates: tx.certificates,
    loans: tx.loans,
    states: tx.states,
    plans: tx.plans,
    events: tx.events,
    logs: tx.logs,
    audits: tx.audits,
    workers: tx.workers,
    relays: tx.relays,
  };
}

/** A repository with some methods replaced. */
export function but<T extends object>(repository: T, other: Partial<T>): T {
  return new Proxy(repository, {
    get: (target, name) => Reflect.get(name in other ? other : target, name),
  });
}

/** A failpoint at which everything stands still for good, as a killed process does; `reached` resolves there. */
export function halt(
  at: Failpoint,
  pass = 1,
): {
  readonly reached: Promise<void>;
  readonly failpoint: (name: Failpoint) => void | Promise<void>;
} {
  const reached = Promise.withResolvers<void>();
  let passes = 0;
  return {
    reached: reached.promise,
    failpoint: (name) => {
      if (name !== at) return undefined;
      passes += 1;
      if (passes < pass) return undefined;
      reached.resolve();
      return new Promise<never>(() => undefined);
    },
  };
}

/** One life of an engine on a directory: until it halts, then as abruptly gone as a process can be within this one. */
export async function liveUntil(
  options: WorldOptions & { readonly at: Failpoint; readonly pass?: number },
  begin: (world: World) => Promise<void>,
): Promise<void> {
  const stop = halt(options.at, options.pass);
  const settings = { ...options.settings, failpoint: stop.failpoint, stopGraceMs: 1 };
  const world = await createWorld({ ...options, settings });
  try {
    await begin(world);
    await stop.reached;
  } finally {
    await world.close();
  }
}

export interface LastLife {
  readonly steps: readonly Step[];
  readonly status: string;
}

/** A life without faults: what the run comes to. */
export async function liveOn(options: WorldOptions, runId: string): Promise<LastLife> {
  const world = await createWorld(options);
  try {
    const run = await world.until(runId, ({ status }) => !["queued", "running"].includes(status));
    return { steps: await world.steps(runId), status: run.status };
  } finally {
    await world.close();
  }
}

/** An executor with some methods replaced. */
export function executorBut(executor: Executor, other: Partial<Executor>): Executor {
  return { ...executor, ...other };
}
