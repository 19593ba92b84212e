import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { EndedStep } from "../ports/work.ts";
import type { Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { ErrorCode } from "../domain/errors.ts";
import type { JournalEvent, NewEvent } from "../domain/event.ts";
import type { Run } from "../domain/run.ts";
import type { Template } from "../domain/template.ts";
import type { Step } from "../domain/step.ts";
import type { NewWorker } from "../domain/worker.ts";
import { timestamp } from "../ports/clock.ts";
import type { Page, PageRequest } from "../ports/page.ts";
import type { Store, TransactOptions, Tx } from "../ports/store.ts";
import type { Claim, ClaimRequest, Fence } from "../ports/work.ts";
import type { FakeClock } from "./fake-clock.ts";

export function anEnvironment(clock: FakeClock, over: Partial<Environment> = {}): Environment {
  const id = over.id ?? clock.id("environment");
  return {
    id,
    name: `e${id.slice(-12)}`,
    description: "",
    tags: {},
    status: "deploying",
    reason: null,
    failure: null,
    desired: { templates: [] },
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
    createdAt: timestamp(clock),
    updatedAt: timestamp(clock),
    plannedDestructionAt: null,
    destroyedAt: null,
    ...over,
  };
}

export function aRun(clock: FakeClock, environmentId: string, over: Partial<Run> = {}): Run {
  return {
    id: clock.id("run"),
    environmentId,
    kind: "create",
    status: "running",
    reason: null,
    blocker: null,
    failure: null,
    desired: { templates: [] },
    generation: 1,
    planId: null,
    action: null,
    options: { deferred: "safe", parallelism: 10 },
    formatVersion: 1,
    attempt: 1,
    progress: { done: 0, total: 0, failed: 0, skipped: 0 },
    stage: "steps",
    cancelRequestedAt: null,
    killRequested: false,
    createdAt: timestamp(clock),
    startedAt: null,
    finishedAt: null,
    ...over,
  };
}

export function aStep(
  clock: FakeClock,
  run: Pick<Run, "id" | "environmentId">,
  over: Partial<Step> = {},
): Step {
  const id = over.id ?? clock.id("step");
  return {
    id,
    runId: run.id,
    environmentId: run.environmentId,
    key: `apply:shop/${id}`,
    phase: "apply",
    template: "shop",
    group: id,
    executor: "command",
    status: "ready",
    reason: "new group",
    failure: null,
    waitingOn: 0,
    token: 0,
    worker: null,
    attempts: 0,
    retry: { attempts: 3, backoffMs: 1_000 },
    timeoutMs: 60_000,
    onFailure: "stop",
    runsOn: [],
    availableAt: null,
    mark: "exact",
    changes: [],
    input: null,
    createdAt: timestamp(clock),
    startedAt: null,
    finishedAt: null,
    ...over,
  };
}

export function anEvent(environmentId: string | null, over: Partial<NewEvent> = {}): NewEvent {
  return {
    type: "environment.updated",
    environmentId,
    subject: "environments/shop",
    data: { of: environmentId },
    ...over,
  };
}

export interface Work {
  readonly environment: Environment;
  readonly run: Run;
  readonly steps: readonly Step[];
}

/** What is to be stored. `upstreams` by index. */
export interface NewWork {
  readonly steps?: readonly Partial<Step>[];
  readonly upstreams?: readonly (readonly number[])[];
  readonly run?: Partial<Run>;
  /** Done in the same transaction, before and after that. */
  readonly before?: (tx: Tx) => Promise<void>;
  readonly alsoDo?: (tx: Tx) => Promise<void>;
  readonly how?: TransactOptions;
}

/** Stores an environment whose active run has these steps. */
export async function insertWork(
  { store, clock }: { readonly store: Store; readonly clock: FakeClock },
  of: NewWork = {},
): Promise<Work> {
  const runId = of.run?.id ?? clock.id("run");
  const environment = anEnvironment(clock, { activeRun: runId });
  const run = aRun(clock, environment.id, { ...of.run, id: runId });
  const upstreams = of.upstreams ?? [];
  const steps = (of.steps ?? [{}]).map((over, index) => {
    const waitingOn = upstreams[index]?.length ?? 0;
    return aStep(clock, run, { waitingOn, status: waitingOn > 0 ? "blocked" : "ready", ...over });
  });
  await store.transact(async (tx) => {
    await of.before?.(tx);
    await tx.environments.insert(environment);
    await tx.runs.insert(run);
    await tx.steps.insert(
      steps,
      steps.map((_step, index) => upstreams[index] ?? []),
    );
    await of.alsoDo?.(tx);
  }, of.how);
  return { environment, run, steps };
}

/**
 * The journal once it holds so many events, or as it is after some seconds: a store that is shared gives positions a moment
 * after the commit.
 */
export async function journalOf(
  store: Store,
  count: number,
  of: { readonly environmentId?: string } = {},
): Promise<readonly JournalEvent[]> {
  for (let tries = 1; ; tries += 1) {
    const events = await store.read((tx) => tx.events.after(0, { ...of, limit: 1_000 }));
    if (events.length >= count || tries === 500) return events;
    await sleep(10);
  }
}

/** By a worker that becomes known before, without a lease, unless the store knows of it. */
export async function claim(
  { store, clock }: { readonly store: Store; readonly clock: FakeClock },
  over: Partial<ClaimRequest> = {},
  how: TransactOptions = {},
): Promise<readonly Claim[]> {
  const request = {
    worker: "wrk_1",
    now: timestamp(clock),
    limit: 100,
    places: {},
    labels: [],
    ...over,
  };
  const id = request.worker;
  if ((await store.read((tx) => tx.workers.get(id))) === null)
    await store.transact((tx) => tx.workers.put(aWorker(clock, { id }), null));
  return store.transact((tx) => tx.steps.claim(request), how);
}

export function aWorker(clock: FakeClock, over: Partial<NewWorker> = {}): NewWorker {
  const process = { host: "h", pid: 4, startTime: "9", bootId: "b", pidNamespace: "pid:[1]" };
  const id = over.id ?? clock.id("worker");
  return { id, labels: [], process, version: "1.2.3", startedAt: timestamp(clock), ...over };
}

/** Takes the steps of a worker that has gone. */
export async function takeFrom(
  { store, clock }: { readonly store: Store; readonly clock: FakeClock },
  { gone, taker }: { readonly gone: string; readonly taker: string },
): Promise<readonly Step[]> {
  return store.transact(async (tx) => {
    await tx.workers.setStatus(gone, "gone");
    return tx.steps.abandon({ worker: taker, now: timestamp(clock) });
  });
}

export async function claimOne(
  open: { readonly store: Store; readonly clock: FakeClock },
  over: Partial<ClaimRequest> = {},
): Promise<Claim> {
  const [first] = await claim(open, { ...over, limit: 1 });
  assert.ok(first, "there was nothing to claim");
  return first;
}

export function fenceOf({ step }: Claim): Fence {
  return {
    stepId: step.id,
    runId: step.runId,
    environmentId: step.environmentId,
    token: step.token,
  };
}

export function ids(claims: readonly Claim[]): readonly string[] {
  return claims.map(({ step }) => step.id);
}

export function stepAt(work: Pick<Work, "steps">, index: number): Step {
  const step = work.steps[index];
  assert.ok(step, `there is no step ${index}`);
  return step;
}

/** For `assert.rejects`: the product's error with this code. */
export function withCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof GlasshouseError, `a foreign error: ${String(error)}`);
    assert.equal(error.code, code);
    return true;
  };
}

export const succeeded = { status: "succeeded", reason: null, failure: null, changes: [] } as const;

/** Ends a claimed step well. */
export function end(
  { store, clock }: { readonly store: Store; readonly clock: FakeClock },
  claimed: Claim,
): Promise<EndedStep> {
  return store.transact((tx) =>
    tx.steps.end(fenceOf(claimed), { ...succeeded, now: timestamp(clock) }),
  );
}

/** Lets the event loop turn until the store has called its watchers. */
export async function turns(count = 5): Promise<void> {
  for (let n = 0; n < count; n += 1) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
  }
}

/** Everything of a list, read page by page; `between` runs after each page. */
export async function allPages<T>(
  list: (page: PageRequest) => Promise<Page<T>>,
  between: () => Promise<void> = async () => {},
): Promise<readonly T[]> {
  const read: T[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<T> = await list({ limit: 2, cursor });
    assert.ok(page.items.length <= 2);
    read.push(...page.items);
    await between();
    cursor = page.next;
  } while (cursor !== null);
  return read;
}

export function aTemplate(
  clock: FakeClock,
  of: Pick<Template, "name" | "version"> & Partial<Template>,
): Template {
  return {
    id: clock.id("template"),
    status: "draft",
    description: "",
    tags: { a: "b" },
    source: { kind: "upload" },
    digest: "11",
    body: {
      name: of.name,
      version: of.version,
      formatVersion: 1,
      description: "",
      tags: {},
      parameters: {},
      requires: {},
      groups: {},
      outputs: { url: "${{ groups.web.outputs.url }}" },
      entrypoints: {},
      checks: {},
      actions: {},
      lifetime: {},
    },
    files: [{ path: "template.yaml", digest: "d1", mode: 0o644, size: 3 }],
    createdAt: timestamp(clock),
    ...of,
  };
}
