import { GlasshouseError } from "../../../domain/errors.ts";
import type { Step } from "../../../domain/step.ts";
import { statement } from "./session.ts";
import type { Session } from "./session.ts";
import { tellOffers } from "./step-offer.ts";
import { keepOwn } from "./step-own.ts";
import { rowOf } from "./step-rows.ts";

/** Rows between two turns of the event loop: some milliseconds of work. */
const rowsAtOnce = 250;

export const insertStep = statement(
  `insert into "step" ("id", "runId", "environmentId", "key", "phase", "template", "group", "executor", "lane", "status",
     "offered", "reason", "failure", "waitingOn", "token", "worker", "attempts", "retry", "timeoutMs", "onFailure",
     "runsOn", "availableAt", "mark", "changes", "input", "createdAt", "startedAt", "finishedAt")
   values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
     case when ? = 1 and exists (select 1 from "run" where "id" = ? and "status" = 'running') then 1 else 0 end,
     ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
);
export const insertEdge = statement(
  `insert into "stepEdge" ("runId", "upstreamId", "stepId") values (?, ?, ?) on conflict do nothing`,
);

export async function insertSteps(
  session: Session,
  steps: readonly Step[],
  dependsOn: readonly (readonly number[])[],
): Promise<void> {
  let written = 0;
  for (const [index, given] of steps.entries()) {
    const step = counted(
      given,
      (dependsOn[index] ?? []).map((upstream) => at(steps, upstream)),
    );
    session.locks.knows(step.runId, step.environmentId);
    await session.locks.hold(step.environmentId);
    await insertOne(session, step);
    written += 1;
    if (written % rowsAtOnce === 0) await session.pause();
  }
  for (const [index, upstreams] of dependsOn.entries()) {
    const step = at(steps, index);
    for (const upstream of upstreams) {
      await session.run(insertEdge, step.runId, at(steps, upstream).id, step.id);
      written += 1;
      if (written % rowsAtOnce === 0) await session.pause();
    }
  }
}

async function insertOne(session: Session, step: Step): Promise<void> {
  const row = rowOf(step);
  const claimable = step.status === "ready" || step.status === "unknown";
  if (claimable) {
    session.touch("steps");
    // Whoever claims in this transaction may be another who shares it, and has ended a step in it.
    tellOffers(session, true);
  }
  if (step.status === "ready" && row.availableAt === null) keepOwn(session, step, row.lane);
  await session.run(
    insertStep,
    row.id,
    row.runId,
    row.environmentId,
    row.key,
    row.phase,
    row.template,
    step.group,
    step.executor,
    row.lane,
    row.status,
    claimable && row.availableAt === null ? 1 : 0,
    row.runId,
    step.reason,
    row.failure,
    row.waitingOn,
    row.token,
    step.worker,
    row.attempts,
    row.retry,
    row.timeoutMs,
    row.onFailure,
    row.runsOn,
    step.availableAt,
    row.mark,
    row.changes,
    row.input,
    row.createdAt,
    step.startedAt,
    step.finishedAt,
  );
}

/** Upstreams that are inserted as done are not waited for, and one that is named twice is waited for once. */
function counted(step: Step, upstreams: readonly Step[]): Step {
  if (upstreams.length === 0) return step;
  const open = upstreams.filter(({ status }) => status !== "succeeded" && status !== "skipped");
  const waitingOn = new Set(open).size;
  const released = waitingOn === 0 && step.status === "blocked";
  return { ...step, waitingOn, status: released ? "ready" : step.status };
}

function at(steps: readonly Step[], index: number): Step {
  const step = steps[index];
  if (step === undefined) {
    throw new GlasshouseError(
      "internal",
      `A step depends on step ${index} of ${steps.length} in the same insert; there is no such step.`,
    );
  }
  return step;
}
