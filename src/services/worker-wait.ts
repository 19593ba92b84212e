import type { Environment } from "../domain/environment.ts";
import { statusWhenStarted } from "../domain/environment-status.ts";
import { waitReason } from "../domain/label.ts";
import type { Blocker, Run } from "../domain/run.ts";
import { timestamp } from "../ports/clock.ts";
import type { ReadTx, Tx } from "../ports/store.ts";
import type { Services } from "./deps.ts";
import { runEvent } from "./queue.ts";
import { livingOffers } from "./worker.ts";

/** Runs that are told at one look; beyond this they all wait for the same few workers. */
const mostRuns = 1_000;

/** Why a run stands still: the labels that nobody who is there offers, and that in words. */
interface Wait {
  readonly runsOn: readonly string[];
  readonly reason: string;
}

export interface WaitsSeen {
  /** Runs that wait for a worker. */
  readonly waiting: ReadonlySet<string>;
  /** Something is there for workers to do: when one of them leaves, nothing but another look tells. */
  readonly isWorkThere: boolean;
}

/**
 * Says in runs and their environments that they wait for a worker that is not there, and takes it back once one has come.
 * `told` are the runs that an earlier look found waiting. Writes only what has changed; safe to repeat and from several
 * processes.
 */
export async function tellWaits(
  deps: Pick<Services, "store" | "clock">,
  told: ReadonlySet<string>,
): Promise<WaitsSeen> {
  const { waits, isWorkThere } = await deps.store.read(look);
  for (const [runId, wait] of waits) await tell(deps, runId, wait);
  for (const runId of told) if (!waits.has(runId)) await tell(deps, runId, null);
  return { waiting: new Set(waits.keys()), isWorkThere };
}

/** Runs that say that they wait for a worker, whoever wrote it: where a process begins. */
export async function toldWaits(deps: Pick<Services, "store">): Promise<ReadonlySet<string>> {
  return deps.store.read(async (tx) => {
    const runs = [...(await tx.runs.inFlight()), ...(await tx.runs.startable(mostRuns))];
    return new Set(runs.filter(({ blocker }) => blocker?.kind === "worker").map(({ id }) => id));
  });
}

async function look(
  tx: ReadTx,
): Promise<{ readonly waits: ReadonlyMap<string, Wait>; readonly isWorkThere: boolean }> {
  const offers = await livingOffers(tx);
  const asked = await tx.steps.asked();
  const waits = new Map<string, Wait>();
  for (const runsOn of asked) {
    const reason = waitReason(runsOn, offers);
    if (reason === null) continue;
    for (const runId of await tx.steps.runsAsking(runsOn, mostRuns))
      if (!waits.has(runId)) waits.set(runId, { runsOn, reason });
  }
  const queued = await tx.runs.countQueued();
  const nobody = waitReason([], offers);
  if (nobody !== null && queued > 0) {
    for (const run of await tx.runs.startable(mostRuns))
      waits.set(run.id, { runsOn: [], reason: nobody });
  }
  return { waits, isWorkThere: asked.length > 0 || queued > 0 };
}

/** With null what was told is taken back. What the run says for another reason stays. */
async function tell(
  deps: Pick<Services, "store" | "clock">,
  runId: string,
  wait: Wait | null,
): Promise<void> {
  const seen = await deps.store.read((tx) => tx.runs.get(runId));
  if (seen === null || !isNews(seen, wait)) return;
  await deps.store.transact(async (tx) => {
    const run = await tx.runs.get(runId);
    if (run !== null && isNews(run, wait)) await put(tx, deps, { run, wait });
  });
}

function isNews({ status, blocker, reason }: Run, wait: Wait | null): boolean {
  if (status !== "running" && status !== "queued") return false;
  if (wait === null) return blocker?.kind === "worker";
  if (blocker !== null && blocker.kind !== "worker") return false;
  return blocker === null || reason !== wait.reason;
}

async function put(
  tx: Tx,
  deps: Pick<Services, "clock">,
  { run, wait }: { readonly run: Run; readonly wait: Wait | null },
): Promise<void> {
  const now = timestamp(deps.clock);
  const reason = wait?.reason ?? null;
  const blocker: Blocker | null = wait === null ? null : { kind: "worker", on: wait.runsOn };
  await tx.runs.update(run.id, { reason, blocker });
  const environment = await tx.environments.get(run.environmentId);
  if (environment === null) return;
  if (holds(environment, run)) {
    const plain =
      run.status === "queued"
        ? `its ${run.kind} is queued`
        : (statusWhenStarted(run.kind)?.reason ?? null);
    await tx.environments.update(environment.id, { reason: reason ?? plain, updatedAt: now });
  }
  const told = { ...run, reason, blocker };
  await tx.events.append([runEvent("run.progressed", told, environment.name)], now);
}

/** Beside the environment's status stands what the run waits for that holds it, or will when it begins. */
function holds({ activeRun, status }: Environment, run: Run): boolean {
  if (activeRun === run.id) return true;
  return (
    activeRun === null && run.status === "queued" && statusWhenStarted(run.kind)?.status === status
  );
}
