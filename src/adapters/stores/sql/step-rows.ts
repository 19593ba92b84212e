import type { Insertable, Selectable } from "kysely";
import type { Attempt, Step } from "../../../domain/step.ts";
import { fromJson, toJson } from "./json.ts";
import type { Tables } from "./tables.ts";

const indexed = ["ready", "running", "unknown", "waiting", "failed"] as const;

/**
 * The condition of the index of steps that are open, word for word: SQLite uses a partial index only when the question
 * repeats its condition. `table` where the column must be qualified.
 */
export function indexedStatus(table?: string): string {
  const column = table === undefined ? `"status"` : `${table}."status"`;
  return `(${indexed.map((status) => `${column} = '${status}'`).join(" or ")})`;
}

export type StepRow = Selectable<Tables["step"]>;

/** Member by member: a copy of the row without some of its columns costs several times as much, twice in every hop. */
export function stepOf(row: StepRow): Step {
  return {
    id: row.id,
    runId: row.runId,
    environmentId: row.environmentId,
    key: row.key,
    phase: row.phase,
    template: row.template,
    group: row.group,
    executor: row.executor,
    status: row.status,
    reason: row.reason,
    failure: fromJson(row.failure),
    waitingOn: row.waitingOn,
    token: row.token,
    worker: row.worker,
    attempts: row.attempts,
    retry: fromJson(row.retry),
    timeoutMs: row.timeoutMs,
    onFailure: row.onFailure,
    runsOn: fromJson(row.runsOn),
    availableAt: row.availableAt,
    mark: row.mark,
    changes: fromJson(row.changes),
    input: fromJson(row.input),
    createdAt: row.createdAt,
    startedAt: row.startedAt,
    finishedAt: row.finishedAt,
  };
}

export function rowOf(step: Step): Omit<Insertable<Tables["step"]>, "number" | "offered"> {
  return {
    ...step,
    lane: laneOf(step),
    failure: toJson(step.failure),
    retry: toJson(step.retry),
    runsOn: toJson(step.runsOn),
    changes: toJson(step.changes),
    input: toJson(step.input),
  };
}

export function attemptOf(row: Selectable<Tables["attempt"]>): Attempt {
  return {
    ...row,
    failure: fromJson(row.failure),
    child: fromJson(row.child),
    notes: fromJson(row.notes),
  };
}

/** What a step's place is counted by, then the labels that it asks for: neither holds a `+`. Labels come sorted. */
function laneOf(step: Pick<Step, "phase" | "executor" | "runsOn">): string {
  const place = step.phase === "check" ? "check" : (step.executor ?? "");
  return [place, ...step.runsOn].join("+");
}

/** What the place of a lane's steps is counted by, and the labels that they ask for. */
export function partsOfLane(lane: string): {
  readonly place: string;
  readonly runsOn: readonly string[];
} {
  const [place, ...runsOn] = lane.split("+");
  return { place: place ?? "", runsOn };
}
