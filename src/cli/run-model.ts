import { z } from "zod";
import type { EventView, RunView, StepView } from "../contract/rest.ts";
import { runView, stepStatus, stepView } from "../contract/rest-run.ts";

/** What progress shows of a step. */
export interface ShownStep {
  readonly id: string;
  readonly label: string;
  readonly status: StepView["status"];
  readonly reason: string | null;
  /** The failure's message. */
  readonly failure: string | null;
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
  readonly attempts: number;
  /** What it says of its own progress. */
  readonly detail: string;
}

export type ShownRun = Pick<
  RunView,
  "status" | "stage" | "reason" | "blocker" | "progress" | "kind"
> & { readonly failure: string | null };

const stepEvent = stepView
  .pick({ id: true, key: true, phase: true, group: true, reason: true, attempts: true })
  .extend({
    status: stepStatus,
    failure: z.object({ message: z.string() }).nullish(),
    startedAt: z.string().nullish(),
    finishedAt: z.string().nullish(),
    detail: z.record(z.string(), z.unknown()).optional(),
    progress: runView.shape.progress.optional(),
  });

const runEvent = runView
  .pick({ status: true, stage: true, reason: true, blocker: true, progress: true, kind: true })
  .extend({ failure: z.object({ message: z.string() }).nullish() });

/**
 * A run and its steps as the events tell them, from a first reading on. A run that is tried again has a time `since` (of
 * the server): what had ended before it is old, and steps that go on count from then.
 */
export class RunModel {
  #run: ShownRun;
  readonly #steps = new Map<string, ShownStep>();

  readonly #since: string | null;

  constructor(run: RunView, steps: readonly StepView[], since: string | null = null) {
    this.#since = since;
    this.#run = { ...run, failure: run.failure?.message ?? null };
    this.read(run, steps);
  }

  get run(): ShownRun {
    return this.#run;
  }

  get steps(): ReadonlyMap<string, ShownStep> {
    return this.#steps;
  }

  /** Whether the step had ended before the run was tried again. */
  isOld({ finishedAt }: Pick<ShownStep, "finishedAt">): boolean {
    return this.#since !== null && finishedAt !== null && finishedAt < this.#since;
  }

  /** How many steps had been skipped before the run was tried again. */
  get oldSkipped(): number {
    return [...this.#steps.values()].filter((step) => step.status === "skipped" && this.isOld(step))
      .length;
  }

  /** Takes a new reading; returns the steps that changed. */
  read(run: RunView, steps: readonly StepView[]): readonly ShownStep[] {
    this.#run = { ...run, failure: run.failure?.message ?? null };
    return steps
      .filter((step) => step.phase !== "barrier")
      .flatMap((step) =>
        this.#set({
          ...step,
          label: labelOf(step),
          failure: step.failure?.message ?? null,
          startedAt: this.#begun(step, this.#since),
          detail: "",
        }),
      );
  }

  /** Takes an event; returns the step that it changed, if any. */
  apply(event: EventView): readonly ShownStep[] {
    if (event.type.startsWith("run.")) {
      const parsed = runEvent.safeParse(event.data);
      if (parsed.success)
        this.#run = { ...parsed.data, failure: parsed.data.failure?.message ?? null };
      return [];
    }
    const parsed = event.type.startsWith("step.") ? stepEvent.safeParse(event.data) : null;
    if (parsed?.success !== true) return [];
    const { progress, failure, detail, startedAt, finishedAt, ...step } = parsed.data;
    if (progress !== undefined) this.#run = { ...this.#run, progress };
    if (step.phase === "barrier") return [];
    const seen = {
      ...step,
      startedAt:
        startedAt ??
        this.#steps.get(step.id)?.startedAt ??
        (step.status === "running" ? event.time : null),
      finishedAt: finishedAt ?? null,
    };
    return this.#set({
      ...seen,
      label: labelOf(step),
      failure: failure?.message ?? null,
      startedAt: this.#begun(seen, event.time),
      detail: detailOf(detail),
    });
  }

  /** A step keeps the time of its first start; tried again, it begins anew. */
  #begun(
    step: Pick<ShownStep, "id" | "status" | "startedAt" | "finishedAt">,
    now: string | null,
  ): string | null {
    const { startedAt } = step;
    const since = this.#since;
    if (since === null || startedAt === null || startedAt >= since || this.isOld(step))
      return startedAt;
    const before = this.#steps.get(step.id)?.startedAt ?? null;
    if (before !== null && before >= since) return before;
    return step.status === "ready" || step.status === "blocked" ? null : now;
  }

  #set(step: ShownStep): readonly ShownStep[] {
    const before = this.#steps.get(step.id);
    this.#steps.set(step.id, step);
    const same = before?.status === step.status && before.attempts === step.attempts;
    return same ? [] : [step];
  }
}

/** Checks, looks and actions are named as such; the group alone means that it is made or destroyed. */
export function labelOf(
  step: Pick<StepView, "group" | "key"> & { readonly phase: string },
): string {
  if (step.phase === "check") return `check ${step.key.replace(/^check:/u, "")}`;
  if (step.phase === "action") return `action ${step.key.replace(/^.*\//u, "")}`;
  if (step.phase === "secret" || step.phase === "certificate") {
    const what = step.key.startsWith("revoke:") ? "earlier certificate" : step.phase;
    return `${what} ${step.key.replace(/^.*\//u, "")}`;
  }
  const group = step.group ?? step.key;
  return step.phase === "apply" || step.phase === "destroy" ? group : `${step.phase} ${group}`;
}

/** A reason of the server as people read it, in one line: where it begins with a step's key, the group takes its place. */
export function plainReason(text: string): string {
  return text
    .trim()
    .replaceAll(/\s*[\r\n]\s*/gu, " ")
    .replace(/^(?:apply|destroy):[-a-z0-9]+\/([a-z][a-z0-9_]*)(?=$|[: ])/u, "group $1")
    .replace(
      /^(plan|observe|action|secret|certificate|revoke):[-a-z0-9]+\/([a-z][a-z0-9_]*)(?=$|[: ])/u,
      "$1 $2",
    )
    .replace(/^check:([a-z][a-z0-9_.]*)(?=$|[: ])/u, "check $1");
}

/** What a person can do about a run that waits for one. */
export function waysOn({ id, blocker }: Pick<RunView, "id" | "blocker">): string {
  const verb = blocker?.kind === "approval" ? "approve" : "retry";
  return `\`glasshouse run show ${id}\` says more, \`glasshouse run ${verb} ${id}\` goes on, \`glasshouse run cancel ${id}\` gives it up.`;
}

function detailOf(detail: Readonly<Record<string, unknown>> | undefined): string {
  const text = detail?.["text"] ?? detail?.["message"];
  return typeof text === "string" ? text : "";
}

export function isEnded(run: Pick<ShownRun, "status">): boolean {
  return ["succeeded", "failed", "cancelled", "superseded"].includes(run.status);
}

/** Waiting for a person: going on to watch would be in vain. */
export function needsSomebody(run: Pick<ShownRun, "status" | "blocker">): boolean {
  const kinds = ["outcome-unknown", "suspected-leak", "approval"];
  return run.status === "waiting" && run.blocker !== null && kinds.includes(run.blocker.kind);
}
