import type { Insertable, Selectable } from "kysely";
import type { Attempt, Step } from "../../../domain/step.ts";
import { fromJson, toJson } from "./json.ts";
import type { Tables } from "./tables.ts";

/**
 * The condition of the index of steps that are open, word for word: SQLite uses a partial index only when the question
 * repeats its condition.
 */
export const indexedStatus = `"status" in ('ready', 'running', 'unknown', 'waiting', 'failed')`;

export type StepRow = Selectable<Tables["step"]>;

export function stepOf(row: StepRow): Step {
  const { number: _number, lane: _lane, offered: _offered, ...plain } = row;
  return {
    ...plain,
    failure: fromJson(row.failure),
    retry: fromJson(row.retry),
    changes: fromJson(row.changes),
    input: fromJson(row.input),
  };
}

export function rowOf(step: Step): Omit<Insertable<Tables["step"]>, "number" | "offered"> {
  return {
    ...step,
    lane: laneOf(step),
    failure: toJson(step.failure),
    retry: toJson(step.retry),
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

/** What a step's place is counted by. */
function laneOf(step: Pick<Step, "phase" | "executor">): string {
  return step.phase === "check" ? "check" : (step.executor ?? "");
}
