import type { CheckOutcome, CheckState } from "../domain/check.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { Step } from "../domain/step.ts";
import { checkOf } from "../domain/template-checks.ts";
import { isJsonObject } from "../lib/json.ts";
import type { Checker, CheckTarget } from "../ports/check.ts";
import { timestamp } from "../ports/clock.ts";
import { checkTarget, describeTarget, prepareTarget } from "./check-target.ts";
import type { EngineDeps } from "./deps.ts";
import { deliveredScope } from "./delivered.ts";
import type { RunFacts } from "./run-cache.ts";

/** What one look came to. */
export interface Looked {
  readonly state: CheckState;
  readonly outcome: CheckOutcome;
  /** When to look again; null when it passes or its time is over. */
  readonly againInMs: number | null;
}

/** First looks come quickly, so that an environment is ok as soon as it is; later ones at the check's own interval. */
const firstIntervalMs = 250;

/** Looks once at a check of the validating phase. Errors: `step-failed` when its target cannot be evaluated. */
export async function performCheck(
  deps: EngineDeps,
  of: {
    readonly facts: RunFacts;
    readonly step: Step;
    readonly openedAtMs: number;
    readonly looks: number;
    readonly signal: AbortSignal;
  },
): Promise<Looked> {
  const { facts, step } = of;
  const key =
    isJsonObject(step.input) && typeof step.input["key"] === "string"
      ? step.input["key"]
      : step.key;
  const check = checkOf(facts.template.body, key);
  if (check === undefined)
    throw new GlasshouseError("internal", `The template has no check ${key}.`);
  const records = await deps.store.read((tx) => tx.records.list(facts.environment.id));
  const target = checkTarget(deps, check, { facts, scope: deliveredScope(facts, records), key });
  const checker = checkerOf(deps, target);
  await prepareTarget(deps, target, facts);
  const outcome = await checker.check(target, { timeoutMs: check.timeoutMs, signal: of.signal });
  const state: CheckState = {
    environmentId: facts.environment.id,
    key,
    status: outcome.healthy ? "passing" : "failing",
    detail: outcome.detail,
    target: describeTarget(target),
    checkedAt: timestamp(deps.clock),
    lost: null,
  };
  const left = of.openedAtMs + check.withinMs - deps.clock.now();
  const interval = Math.min(check.intervalMs, firstIntervalMs * 2 ** Math.min(of.looks, 16));
  return {
    state,
    outcome,
    againInMs: outcome.healthy || left <= 0 ? null : Math.min(interval, Math.max(left, 1)),
  };
}

/** Errors: `not-available` for what this server cannot look at. */
export function checkerOf(
  { checkers }: Pick<EngineDeps, "checkers">,
  { kind }: CheckTarget,
): Checker {
  const checker = checkers.find((candidate) => candidate.kind === kind);
  if (checker !== undefined) return checker;
  throw new GlasshouseError("not-available", `There is no checker for ${kind} in this server.`);
}
