import { statusWhenStarted } from "../domain/environment-status.ts";
import { mayMove, type Environment } from "../domain/environment.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { NewEvent } from "../domain/event.ts";
import { exclusiveKinds, type Run } from "../domain/run.ts";
import type { Step } from "../domain/step.ts";
import { isJsonObject, toJson, type Json } from "../lib/json.ts";
import type { ReadTx, Tx } from "../ports/store.ts";
import { askingOfSteps } from "./asking.ts";
import type { Services } from "./deps.ts";
import { Moved, type Asked, type Effect, type Effected } from "./effect.ts";
import { environmentEvent } from "./environment-update.ts";
import { runEvent } from "./queue.ts";
import { subjectRun } from "./run-find.ts";
import { allSteps } from "./step.ts";
import { refuseUnserved } from "./worker.ts";

/**
 * The same run once more: what failed, was cancelled or waits is tried again, what succeeded stays. Errors: `conflict`
 * when it has not failed, when what is wanted has moved since, or when other runs came after it.
 */
export async function prepareRetry(deps: Services, asked: Asked<"run.retry">): Promise<Effect> {
  const { request, data } = asked;
  const seen = await deps.store.read(async (tx) => {
    const { run } = await subjectRun(tx, request, data.run);
    return { run, steps: await troubledSteps(tx, run) };
  });
  return async (tx, now) => {
    const { run, environment } = await subjectRun(tx, request, data.run);
    await refuseRetry(tx, run, environment);
    if (run.status !== seen.run.status || run.attempt !== seen.run.attempt) throw new Moved();
    await refuseUnserved(tx, askingOfSteps(seen.steps));
    return retry(tx, { asked, run, environment, steps: seen.steps, now });
  };
}

interface Retrying {
  readonly asked: Asked<"run.retry">;
  readonly run: Run;
  readonly environment: Environment;
  /** Its steps that failed, were cancelled or wait. */
  readonly steps: readonly Step[];
  readonly now: string;
}

async function retry(tx: Tx, of: Retrying): Promise<Effected> {
  const { asked, run, environment, steps, now } = of;
  await acceptLeaks(tx, steps, asked.data.acceptLeaks ?? []);
  const works = steps.filter((step) => step.phase !== "check");
  const checks = steps.filter((step) => step.phase === "check");
  if (works.length > 0 && checks.length > 0) {
    // Checks go back behind their gate: they open when everything is made.
    const keys = checks.map((step) => step.key);
    const reason = "it waits until everything is made";
    await tx.steps.moveAll(run.id, { from: ["cancelled"], to: "blocked", reason, now, keys });
  }
  const patch = {
    status: "running",
    stage: works.length === 0 && checks.length > 0 ? "checks" : "steps",
    reason: null,
    blocker: null,
    failure: null,
    attempt: run.attempt + 1,
    cancelRequestedAt: null,
    killRequested: false,
    finishedAt: null,
  } as const;
  await tx.runs.update(run.id, patch);
  const reopened = await tx.steps.reopen(run.id, now);
  if (reopened.length === 0) {
    throw new GlasshouseError(
      "conflict",
      `Run ${run.id} of ${environment.name} has no step that could be tried again: send the command anew.`,
    );
  }
  if (run.progress.failed > 0) await tx.runs.addProgress(run.id, { failed: -run.progress.failed });
  const again = (await tx.runs.get(run.id)) ?? { ...run, ...patch };
  if (run.status !== "waiting") await tx.runs.use(run.id, await usesOf(tx, run, environment));
  return {
    status: "accepted",
    environmentId: environment.id,
    runId: run.id,
    data: toJson(asked.data),
    events: [
      runEvent("run.started", again, environment.name),
      ...(await takeEnvironment(tx, { run, environment, now })),
    ],
  };
}

/** A create or update that goes on uses what it requires again; a failed one had let go of it. */
async function usesOf(tx: Tx, run: Run, environment: Environment): Promise<readonly string[]> {
  if (run.kind !== "create" && run.kind !== "update") return [];
  const living: string[] = [];
  for (const id of environment.requires) {
    const required = await tx.environments.get(id);
    if (required !== null && required.status !== "destroyed") living.push(id);
  }
  return living;
}

async function takeEnvironment(
  tx: Tx,
  of: { readonly run: Run; readonly environment: Environment; readonly now: string },
): Promise<readonly NewEvent[]> {
  const { run, environment, now } = of;
  if (!exclusiveKinds.includes(run.kind)) return [];
  const change = statusWhenStarted(run.kind);
  const reason = change?.reason ?? `run ${run.id} is tried again`;
  const patch = {
    activeRun: run.id,
    updatedAt: now,
    ...(change === null ? {} : { status: change.status, reason, failure: null }),
  };
  await tx.environments.update(environment.id, patch);
  if (change === null || run.status === "waiting") return [];
  return [environmentEvent(change.event, { ...environment, ...patch })];
}

async function refuseRetry(tx: Tx, run: Run, environment: Environment): Promise<void> {
  const label = `Run ${run.id} (${run.kind}) of ${environment.name}`;
  const refuse = (why: string): never => {
    throw new GlasshouseError("conflict", `${label} ${why}`);
  };
  if (run.status !== "failed" && run.status !== "cancelled" && run.status !== "waiting")
    refuse(`is ${run.status}: only a run that failed, was cancelled or waits can be retried.`);
  if (run.kind === "plan") refuse("made a plan: make a new one (`glasshouse env plan`).");
  if (run.startedAt === null)
    refuse("never began, so there is nothing to go on from: send the command anew.");
  if (run.status === "waiting" || !exclusiveKinds.includes(run.kind)) return;
  if (environment.activeRun !== null)
    refuse(`cannot go on while run ${environment.activeRun} is under way: wait for its end.`);
  if (run.generation !== environment.generation)
    refuse(
      `was for generation ${run.generation} of what is wanted, which is at ${environment.generation} now: update the environment instead.`,
    );
  const later = await laterRun(tx, run);
  if (later !== null)
    refuse(`is not the newest: run ${later.id} (${later.kind}) came after it. Send a new command.`);
  const change = statusWhenStarted(run.kind);
  if (change !== null && !mayMove(environment.status, change.status))
    refuse(`cannot go on while the environment is ${environment.status}.`);
}

const looksBack = 50;

/** A run that changed the environment after this one, or is queued to. */
async function laterRun(tx: Tx, run: Run): Promise<Run | null> {
  const page = await tx.runs.list(
    { environmentId: run.environmentId },
    { limit: looksBack, cursor: null },
  );
  const own = page.items.findIndex((other) => other.id === run.id);
  const newer = own < 0 ? page.items : page.items.slice(0, own);
  return newer.find((other) => changed(other)) ?? null;
}

function changed(run: Run): boolean {
  const changes = run.kind === "create" || run.kind === "update" || run.kind === "destroy";
  return changes && (run.startedAt !== null || run.status === "queued");
}

async function troubledSteps(tx: ReadTx, run: Run): Promise<readonly Step[]> {
  const steps = await allSteps(tx, run.id);
  return steps.filter(
    ({ status }) => status === "failed" || status === "cancelled" || status === "waiting",
  );
}

/** The addresses lie in the steps' input, where their executor finds them. */
async function acceptLeaks(
  tx: Tx,
  steps: readonly Step[],
  addresses: readonly string[],
): Promise<void> {
  if (addresses.length === 0) return;
  for (const step of steps) {
    if (step.phase !== "apply" && step.phase !== "destroy") continue;
    const input = isJsonObject(step.input) ? step.input : {};
    const before = texts(input["acceptedLeaks"] ?? []);
    const acceptedLeaks = [...new Set([...before, ...addresses])];
    await tx.steps.setInput(step.id, { ...input, acceptedLeaks });
  }
}

function texts(value: Json): readonly string[] {
  if (!Array.isArray(value)) return [];
  return value.filter((item: Json) => typeof item === "string");
}
