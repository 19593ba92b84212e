import type { Environment } from "../domain/environment.ts";
import { exclusiveKinds, type Run } from "../domain/run.ts";
import type { ReadTx } from "../ports/store.ts";
import type { Page, PageRequest } from "../ports/page.ts";
import type { Reads } from "./deps.ts";
import { findRun } from "./run-find.ts";
import { withPauses } from "./run-pause.ts";

export interface RunRead {
  /** A queued run that waits for others of its environment says so in its blocker. */
  readonly run: Run;
  readonly environmentName: string;
  /** Runs of its environment that go first; null when it is not queued. */
  readonly position: number | null;
}

/** Errors: `not-found`. */
export async function getRun(deps: Reads, id: string): Promise<RunRead> {
  return deps.store.read(async (tx) => {
    const run = await findRun(tx, id);
    const [read] = await readRuns(tx, [run]);
    return read ?? { run, environmentName: run.environmentId, position: null };
  });
}

/** Of all environments, newest first. */
export async function listRuns(
  deps: Reads,
  filter: { readonly status?: Run["status"] },
  page: PageRequest,
): Promise<Page<RunRead>> {
  return deps.store.read(async (tx) => {
    const { items, next } = await tx.runs.list(filter, page);
    return { items: await readRuns(tx, items), next };
  });
}

/** Adds to runs what is known of their environments and queues, and what their steps wait for. */
export async function readRuns(tx: ReadTx, runs: readonly Run[]): Promise<readonly RunRead[]> {
  const queues = new Map<string, Queue>();
  const reads: RunRead[] = [];
  for (const run of await withPauses(tx, runs)) {
    const queue = queues.get(run.environmentId) ?? (await queueOf(tx, run.environmentId));
    queues.set(run.environmentId, queue);
    reads.push(readRun(run, queue));
  }
  return reads;
}

interface Queue {
  readonly environment: Environment | null;
  /** The run under way, then the queued ones that hold the environment, in their order. */
  readonly ids: readonly string[];
}

async function queueOf(tx: ReadTx, environmentId: string): Promise<Queue> {
  const environment = await tx.environments.get(environmentId);
  const queued = await tx.runs.queue(environmentId);
  const waiting = queued.filter((run) => exclusiveKinds.includes(run.kind)).map((run) => run.id);
  const active = environment?.activeRun ?? null;
  return { environment, ids: active === null ? waiting : [active, ...waiting] };
}

function readRun(run: Run, { environment, ids }: Queue): RunRead {
  const environmentName = environment?.name ?? run.environmentId;
  if (run.status !== "queued") return { run, environmentName, position: null };
  const before = ids.slice(0, Math.max(0, ids.indexOf(run.id)));
  if (before.length === 0 || run.blocker !== null)
    return { run, environmentName, position: before.length };
  const reason = `it waits for run ${before.at(-1) ?? ""} of the same environment`;
  const waiting: Run = { ...run, reason, blocker: { kind: "queue", on: before } };
  return { run: waiting, environmentName, position: before.length };
}
