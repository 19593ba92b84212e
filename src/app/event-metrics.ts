import type { EventType, NewEvent } from "../domain/event.ts";
import { isJsonObject, type Json, type JsonObject } from "../lib/json.ts";
import type { Metrics } from "../ports/telemetry.ts";

/** Counts an event that was committed by this process, and what it says of a run or step that has ended. */
export function meterEvent(metrics: Metrics, event: NewEvent): void {
  metrics.count("glasshouse_events_total", { type: event.type });
  const data = isJsonObject(event.data) ? event.data : {};
  if (ended.run.includes(event.type)) {
    const labels = { kind: text(data["kind"]), outcome: text(data["status"]) };
    metrics.record("glasshouse_run_duration_seconds", durationOf(data), labels);
  }
  if (ended.step.includes(event.type)) {
    const labels = { ...work(data), outcome: text(data["status"]) };
    metrics.record("glasshouse_step_duration_seconds", durationOf(data), labels);
  }
  if (event.type === "step.retrying") metrics.count("glasshouse_step_retries_total", work(data));
  if (event.type === "step.unknown") metrics.count("glasshouse_steps_unknown_total", work(data));
}

const ended: Readonly<Record<"run" | "step", readonly EventType[]>> = {
  run: ["run.succeeded", "run.failed", "run.cancelled"],
  step: ["step.succeeded", "step.failed", "step.skipped"],
};

function work(data: JsonObject): { readonly executor: string; readonly phase: string } {
  const phase = text(data["phase"]);
  return { executor: phase === "check" ? "check" : text(data["executor"], "engine"), phase };
}

/** Of something that never started: 0. */
function durationOf({ startedAt, finishedAt }: JsonObject): number {
  const tookMs = Date.parse(text(finishedAt)) - Date.parse(text(startedAt));
  return Number.isNaN(tookMs) ? 0 : Math.max(0, tookMs / 1000);
}

function text(value: Json | undefined, otherwise = "none"): string {
  return typeof value === "string" ? value : otherwise;
}
