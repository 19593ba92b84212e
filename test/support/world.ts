import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileBlobs } from "../../src/adapters/blobs/files/index.ts";
import { SystemClock } from "../../src/adapters/clock/system/index.ts";
import {
  defaultKeyFile,
  embeddedAuthority,
  embeddedKeeper,
  openEmbeddedSecrets,
} from "../../src/adapters/secrets/embedded/index.ts";
import { localProcesses } from "../../src/clients/process/processes.ts";
import { createLog } from "../../src/adapters/telemetry/lines/index.ts";
import type { Desired, Environment } from "../../src/domain/environment.ts";
import { defaultParallelism, isEnded, type Run, type RunKind } from "../../src/domain/run.ts";
import type { Step } from "../../src/domain/step.ts";
import type { Template, TemplateBody, TemplateFile } from "../../src/domain/template.ts";
import type { Values } from "../../src/domain/value.ts";
import { engineDefaults, type EngineDeps, type EngineSettings } from "../../src/engine/deps.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { Executor } from "../../src/ports/executor.ts";
import type { Store, Topic } from "../../src/ports/store.ts";
import { timestamp, type Clock } from "../../src/ports/clock.ts";
import { noMetrics } from "../../src/ports/telemetry.ts";
import { openTestStore } from "./which-store.ts";

/** A real store and engine in a directory of their own, with executors of the test's choice and no services around them. */
export interface World {
  readonly directory: string;
  readonly store: Store;
  readonly deps: EngineDeps;
  readonly engine: Engine;
  /** A registered template, with files whose content is in `deps.blobs`. */
  template(body: TemplateBody, files?: readonly TemplateFile[]): Promise<Template>;
  /** A new environment with its queued create. */
  create(template: Template, parameters?: Values): Promise<Run>;
  /** Changes what is wanted and queues a run of this kind. */
  queue(
    environmentId: string,
    kind: RunKind,
    more?: Partial<Run> & { readonly wanted?: Desired },
  ): Promise<Run>;
  ended(runId: string): Promise<Run>;
  /** Resolves when the run satisfies the condition. */
  until(runId: string, condition: (run: Run) => boolean): Promise<Run>;
  steps(runId: string): Promise<readonly Step[]>;
  environment(id: string): Promise<Environment>;
  close(): Promise<void>;
}

export interface WorldOptions {
  readonly executors: readonly Executor[];
  readonly directory?: string;
  readonly settings?: Partial<EngineSettings>;
  readonly deps?: Partial<EngineDeps>;
  /** The engine starts by itself unless this is false. */
  readonly start?: boolean;
  /** Called around each commit of the store. */
  readonly onCommit?: (n: number, phase: "before" | "after") => void;
  /** Puts something between the engine and its store. */
  readonly bend?: (store: Store) => Store;
  /** For tests that show what the fence is for. */
  readonly unsafeWithoutFence?: boolean;
  /** The system's unless given. */
  readonly clock?: Clock;
  /** In place of a store in the directory. */
  readonly open?: (clock: Clock) => Promise<Store>;
}

const systemClock = new SystemClock();

export async function createWorld(options: WorldOptions): Promise<World> {
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "glasshouse-world-")));
  const deps = await openDeps(directory, options);
  const engine = new Engine(deps);
  // The engine's timers do not keep a process alive; here nothing else does.
  const alive = setInterval(() => undefined, 60_000);
  if (options.start !== false) await engine.start();
  return {
    directory,
    store: deps.store,
    deps,
    engine,
    ...actions(deps),
    close: () => close({ directory, deps, engine, alive, keep: options.directory !== undefined }),
  };
}

async function openDeps(directory: string, options: WorldOptions): Promise<EngineDeps> {
  const log = createLog({ level: "error", format: "pretty" });
  const keys = join(directory, "keys");
  const sealer = await openEmbeddedSecrets({
    directory: keys,
    key: defaultKeyFile(keys),
    mayCreate: true,
  });
  const clock = options.clock ?? systemClock;
  const inDirectory = (): Promise<Store> =>
    openTestStore({
      directory,
      clock,
      log,
      ...(options.onCommit === undefined ? {} : { onCommit: options.onCommit }),
      unsafeWithoutFence: options.unsafeWithoutFence ?? false,
    });
  const store = await (options.open ?? inDirectory)(clock);
  const bent = options.bend?.(store) ?? store;
  return {
    store: bent,
    clock,
    sealer,
    keepers: [embeddedKeeper(sealer)],
    authorities: [embeddedAuthority({ store: bent, sealer, clock })],
    blobs: await FileBlobs.open(join(directory, "blobs"), sealer),
    executors: new Map(options.executors.map((executor) => [executor.name, executor])),
    checkers: [],
    lender: null,
    processes: { ...localProcesses(), awaitGone: async () => undefined },
    worker: { version: "0.0.0", labels: [] },
    log,
    metrics: noMetrics,
    settings: {
      ...engineDefaults,
      stopGraceMs: 2_000,
      placesByExecutor: {},
      workRoot: join(directory, "work"),
      failpoint: () => undefined,
      ...options.settings,
    },
    requestDestroy: async () => undefined,
    requestRotation: async () => undefined,
    ...options.deps,
  };
}

async function close(of: {
  readonly directory: string;
  readonly deps: EngineDeps;
  readonly engine: Engine;
  readonly alive: NodeJS.Timeout;
  readonly keep: boolean;
}): Promise<void> {
  clearInterval(of.alive);
  await of.engine.stop();
  await of.deps.store.close();
  if (!of.keep) await rm(of.directory, { recursive: true, force: true });
}

function actions({
  store,
}: EngineDeps): Pick<
  World,
  "template" | "create" | "queue" | "ended" | "until" | "steps" | "environment"
> {
  const until = (runId: string, condition: (run: Run) => boolean): Promise<Run> =>
    waitFor(store, runId, { condition, topics: ["queue", "journal"] });
  return {
    template: async (body, files = []) => {
      const template = { ...templateOf(body), files };
      await store.transact((tx) => tx.templates.insert(template));
      return template;
    },
    create: async (template, parameters = {}) => {
      const desired = {
        templates: [
          { templateId: template.id, name: template.name, version: template.version, parameters },
        ],
      };
      const environment = environmentOf(desired);
      const run = runOf(environment, "create");
      // As a command is accepted.
      await store.transact(
        async (tx) => {
          await tx.environments.insert(environment);
          await tx.runs.insert(run);
        },
        { brief: true },
      );
      return run;
    },
    queue: (environmentId, kind, more = {}) => queue(store, environmentId, { kind, ...more }),
    until,
    ended: (runId) => waitFor(store, runId, { condition: isEnded, topics: ["queue"] }),
    steps: async (runId) =>
      (await store.read((tx) => tx.steps.list(runId, { limit: 20_000, cursor: null }))).items,
    environment: async (id) => {
      const environment = await store.read((tx) => tx.environments.get(id));
      if (environment === null) throw new Error(`no environment ${id}`);
      return environment;
    },
  };
}

async function queue(
  store: Store,
  environmentId: string,
  of: Partial<Run> & { readonly kind: RunKind; readonly wanted?: Desired },
): Promise<Run> {
  const { wanted, ...more } = of;
  return store.transact(async (tx) => {
    const environment = await tx.environments.get(environmentId);
    if (environment === null) throw new Error(`no environment ${environmentId}`);
    const changed =
      wanted === undefined
        ? environment
        : { ...environment, desired: wanted, generation: environment.generation + 1 };
    await tx.environments.update(environmentId, {
      desired: changed.desired,
      generation: changed.generation,
    });
    const run = { ...runOf(changed, of.kind), ...more };
    await tx.runs.insert(run);
    return run;
  });
}

/**
 * Looks now and after each commit that touched one of the topics: `queue` for what a run is, `journal` also for its progress,
 * which is a look at every step.
 */
async function waitFor(
  store: Store,
  runId: string,
  {
    condition,
    topics,
  }: { readonly condition: (run: Run) => boolean; readonly topics: readonly Topic[] },
): Promise<Run> {
  for (;;) {
    const changed = Promise.withResolvers<void>();
    const unwatch = topics.map((topic) => store.watch(topic, changed.resolve));
    const run = await store.read((tx) => tx.runs.get(runId));
    const holds = run !== null && condition(run);
    if (!holds) await changed.promise;
    for (const end of unwatch) end();
    if (holds) return run;
  }
}

function templateOf(body: TemplateBody): Template {
  return {
    id: systemClock.id("template"),
    name: body.name,
    version: body.version,
    status: "active",
    description: body.description,
    tags: body.tags,
    source: { kind: "upload" },
    digest: "0".repeat(64),
    body,
    files: [],
    createdAt: timestamp(systemClock),
  };
}

function environmentOf(desired: Desired): Environment {
  const now = timestamp(systemClock);
  const id = systemClock.id("environment");
  return {
    id,
    name: `e-${id.slice(-10)}`,
    description: "",
    tags: {},
    status: "deploying",
    reason: null,
    failure: null,
    desired,
    generation: 1,
    appliedGeneration: 0,
    activeRun: null,
    sequence: 0,
    outputs: {},
    entrypoints: {},
    requires: [],
    outdated: false,
    drifted: false,
    prospective: false,
    createdAt: now,
    updatedAt: now,
    plannedDestructionAt: null,
    destroyedAt: null,
  };
}

function runOf(environment: Environment, kind: RunKind): Run {
  return {
    id: systemClock.id("run"),
    environmentId: environment.id,
    kind,
    status: "queued",
    reason: null,
    blocker: null,
    failure: null,
    desired: environment.desired,
    generation: environment.generation,
    planId: null,
    action: null,
    options: { deferred: "safe", parallelism: defaultParallelism },
    formatVersion: 1,
    attempt: 1,
    progress: { done: 0, total: 0, failed: 0, skipped: 0 },
    stage: "steps",
    cancelRequestedAt: null,
    killRequested: false,
    createdAt: timestamp(systemClock),
    startedAt: null,
    finishedAt: null,
  };
}
