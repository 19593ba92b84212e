import { GlasshouseError } from "../domain/errors.ts";
import type { GroupRecord } from "../domain/record.ts";
import { groupKey } from "../domain/record.ts";
import type { Change, ObservedResource, Resource } from "../domain/resource.ts";
import type { Step } from "../domain/step.ts";
import type { Group } from "../domain/template.ts";
import type { Value, Values } from "../domain/value.ts";
import { evaluate } from "../domain/expression.ts";
import { isJsonObject, type Json } from "../lib/json.ts";
import type {
  Executor,
  ExecutorContext,
  ExecutorResult,
  Observation,
  StartedChild,
} from "../ports/executor.ts";
import { performCertificate } from "./certificate-step.ts";
import type { EngineDeps } from "./deps.ts";
import { stepContext, type SettlingContext, type StepContext } from "./executor-context.ts";
import { borrow, type Borrowed } from "./loan.ts";
import { groupResources } from "./resources.ts";
import type { RunFacts } from "./run-cache.ts";
import type { PerformedSecret } from "./owned-step.ts";
import { performSecret } from "./secret-step.ts";
import {
  applyInputs,
  evaluatedInputs,
  noFingerprint,
  recordInputs,
  rotationOf,
  scopeOf,
  type StepInputs,
} from "./step-inputs.ts";

/** What an attempt came to; what is written for it is decided in one place (outcome.ts). */
export type Performed =
  | {
      readonly kind: "applied";
      readonly group: Group;
      readonly inputs: StepInputs;
      readonly result: ExecutorResult;
      readonly resources: readonly Resource[];
    }
  | PerformedSecret
  | { readonly kind: "destroyed" }
  | { readonly kind: "observed"; readonly record: GroupRecord; readonly observation: Observation }
  | { readonly kind: "planned"; readonly changes: readonly Change[]; readonly blob: string | null }
  | { readonly kind: "acted"; readonly observed: readonly ObservedResource[] }
  | { readonly kind: "nothing" }
  /** Settled as "do it again" in a run that is being cancelled. */
  | { readonly kind: "abandoned" }
  /** A person must decide; the settings say what may exist. */
  | {
      readonly kind: "ask";
      readonly reason: "outcome-unknown" | "suspected-leak" | "approval";
      readonly detail: string;
      readonly addresses: readonly string[];
      readonly changes: readonly Change[];
    };

export interface Performance {
  readonly facts: RunFacts;
  readonly step: Step;
  /** What its claim has asked for ahead. */
  readonly records: Promise<readonly GroupRecord[] | null> | null;
  /** The last attempt's outcome is unknown. */
  readonly settle: boolean;
  readonly signal: AbortSignal;
  readonly kill: AbortSignal;
  readonly childStarted: (child: StartedChild) => void;
  readonly progress: StepContextProgress;
  /** The last attempt was interrupted, and a person wants it done: it is looked at first where that is possible. */
  readonly glance: boolean;
  /** The run is being cancelled: what is unknown is settled, nothing new is begun. */
  readonly cancelling: boolean;
  /** Told once the unknown outcome has been looked at: an error before that says nothing of what the last attempt did. */
  readonly settled: () => void;
  /** Told as soon as it is known, so that a failure can record what may exist. */
  readonly prepared: (inputs: StepInputs) => void;
}

type StepContextProgress = Parameters<typeof stepContext>[1]["progress"];

/** Does one attempt of a step with its executor. Writes nothing but what the context writes. Errors are the executor's. */
export async function perform(deps: EngineDeps, of: Performance): Promise<Performed> {
  switch (of.step.phase) {
    case "apply":
      return performApply(deps, of);
    case "destroy":
      return performDestroy(deps, of);
    case "observe":
      return performObserve(deps, of);
    case "plan":
      return performPlan(deps, of);
    case "action":
      return performAction(deps, of);
    case "secret":
      return performSecret(deps, of);
    case "certificate":
      return performCertificate(deps, of);
    case "barrier":
      return { kind: "nothing" };
    case "check":
      throw new GlasshouseError("internal", `Check ${of.step.key} came to an executor.`);
  }
}

async function performApply(deps: EngineDeps, of: Performance): Promise<Performed> {
  const { facts, step } = of;
  const inputs = await inputsOf(deps, of);
  of.prepared(inputs);
  const { group, record } = inputs;
  if (group === null) throw new GlasshouseError("internal", `Step ${step.id} has no group.`);
  const healthy =
    record !== null &&
    record.status === "applied" &&
    record.drift !== "drifted" &&
    record.drift !== "missing";
  const maySkip = !of.settle && healthy && sealedPlanOf(step) === null;
  if (maySkip && record.fingerprint === inputs.fingerprint()) return { kind: "unchanged" };
  await deps.settings.failpoint("step.prepared");
  const context = await contextOf(deps, of, { inputs, executor: step.executor });
  return closing(context, async (ctx) => {
    const executor = executorOf(deps, step.executor);
    const settled = await settleFirst(executor, of, ctx);
    if (settled !== null && "ask" in settled) return settled.ask;
    if (settled === null && of.cancelling) return { kind: "abandoned" };
    const approval = settled === null ? await deferredApproval(executor, ctx, of) : null;
    if (approval !== null) return approval;
    const result = settled?.result ?? (await acting(executor.apply(ctx), inputs));
    const outputs = declared(group, result.outputs, step);
    const resources = groupResources(deps, { facts, step, inputs, group, outputs });
    return { kind: "applied", group, inputs, result: { ...result, outputs }, resources };
  });
}

/** What will be recorded is worked out while the step acts: neither its beginning nor its end waits for that. */
async function acting(act: Promise<ExecutorResult>, inputs: StepInputs): Promise<ExecutorResult> {
  try {
    inputs.fingerprint();
  } catch (error) {
    // What acts is not left to itself.
    await act;
    throw error;
  }
  return act;
}

async function inputsOf(deps: EngineDeps, of: Performance): Promise<StepInputs> {
  const records = await of.records;
  // Nothing was asked for, or the answer was lost with that to the commit of the claim.
  if (records === null) return deps.store.read((tx) => applyInputs(tx, deps, of));
  return evaluatedInputs(deps, of, { records, secrets: [] });
}

async function performDestroy(deps: EngineDeps, of: Performance): Promise<Performed> {
  const inputs = await deps.store.read((tx) => recordInputs(tx, of.step));
  of.prepared(inputs);
  await deps.settings.failpoint("step.prepared");
  const used = inputs.record?.executor ?? null;
  const context = await contextOf(deps, of, { inputs, executor: used });
  return closing(context, async (ctx) => {
    const executor = executorOf(deps, used);
    const settled = await settleFirst(executor, of, ctx);
    if (settled !== null && "ask" in settled) return settled.ask;
    if (settled === null && of.cancelling) return { kind: "abandoned" };
    if (settled === null) await executor.destroy(ctx);
    return { kind: "destroyed" };
  });
}

async function performObserve(deps: EngineDeps, of: Performance): Promise<Performed> {
  const inputs = await deps.store.read((tx) => recordInputs(tx, of.step));
  const { record } = inputs;
  if (record === null) return { kind: "nothing" };
  const context = await contextOf(deps, of, { inputs, executor: record.executor });
  return closing(context, async (ctx) => ({
    kind: "observed",
    record,
    observation: await executorOf(deps, record.executor).observe(ctx),
  }));
}

async function performPlan(deps: EngineDeps, of: Performance): Promise<Performed> {
  const inputs = await deps.store.read((tx) => applyInputs(tx, deps, of));
  const context = await contextOf(deps, of, { inputs, executor: of.step.executor });
  return closing(context, async (ctx) => {
    const { changes, saved } = await executorOf(deps, of.step.executor).plan(ctx);
    return {
      kind: "planned",
      changes,
      blob: saved === null ? null : await deps.blobs.putSealed(saved),
    };
  });
}

/** An action is a command of the template, run with the command executor; what it makes is its own affair. */
async function performAction(deps: EngineDeps, of: Performance): Promise<Performed> {
  const { facts, step } = of;
  const action = facts.template.body.actions[facts.run.action ?? ""];
  if (action === undefined)
    throw new GlasshouseError(
      "not-found",
      `The template has no action "${facts.run.action ?? ""}".`,
    );
  const records = await deps.store.read((tx) => tx.records.list(facts.environment.id));
  const settings: Value = { create: evaluate(action.app.command, scopeOf(facts, records)) };
  const inputs = { group: null, record: null, settings, fingerprint: noFingerprint, scope: null };
  const context = await contextOf(deps, of, { inputs, executor: step.executor });
  return closing(context, async (ctx) => {
    const executor = executorOf(deps, step.executor);
    const settled = await settleFirst(executor, of, ctx);
    if (settled !== null && "ask" in settled) return settled.ask;
    if (settled === null && of.cancelling) return { kind: "abandoned" };
    const result = settled?.result ?? (await executor.apply(ctx));
    return { kind: "acted", observed: result.observed };
  });
}

/** After an unknown outcome, looks at the real world first. Null: do it, that is safe. */
async function settleFirst(
  executor: Executor,
  of: Performance,
  ctx: SettlingContext,
): Promise<
  { readonly result: ExecutorResult } | { readonly ask: Extract<Performed, { kind: "ask" }> } | null
> {
  if (!of.settle && !of.glance) return null;
  const settlement = await executor.settle(ctx);
  of.settled();
  switch (settlement.kind) {
    case "done":
      return { result: settlement.result };
    case "again":
      return null;
    case "ask":
      // The person who wants it done once more has answered this already, as far as it can be answered.
      if (of.glance && settlement.reason === "outcome-unknown") return null;
      return { ask: { ...settlement, changes: [] } };
  }
}

/**
 * In a saved plan a deferred group is planned when it is reached. With `safe` it goes on when it only creates or updates,
 * with `ask` never by itself; otherwise the run waits for approval. Null: go on.
 */
async function deferredApproval(
  executor: Executor,
  ctx: ExecutorContext,
  { facts, step }: Performance,
): Promise<Performed | null> {
  const { deferred } = facts.run.options;
  if (
    facts.run.planId === null ||
    step.mark !== "deferred" ||
    deferred === "any" ||
    flagOf(step.input, "approved")
  )
    return null;
  const { changes } = await executor.plan(ctx);
  const harmful = changes.filter(
    (change) => change.action === "destroy" || change.action === "replace",
  );
  const asks = deferred === "ask" ? changes.filter((change) => change.action !== "none") : harmful;
  if (asks.length === 0) return null;
  const addresses = asks.map((change) => change.address);
  const detail = `it was not known when the plan was made and would ${deferred === "ask" ? "change" : "destroy or replace"} ${addresses.slice(0, 5).join(", ")}`;
  return { kind: "ask", reason: "approval", detail, addresses, changes };
}

/** A declared output that is not delivered fails the step; one that was not declared is left out. */
function declared(group: Group, outputs: Values, step: Step): Values {
  const missing = group.outputs.filter((name) => outputs[name] === undefined);
  if (missing.length > 0) {
    throw new GlasshouseError(
      "output-missing",
      `Group ${groupKey(step.template, step.group ?? "")} declares the output ${missing.join(", ")}, which was not delivered.`,
    );
  }
  return Object.fromEntries(group.outputs.map((name) => [name, outputs[name] ?? null]));
}

interface BorrowingContext extends StepContext {
  readonly borrowed: Borrowed;
}

async function contextOf(
  deps: EngineDeps,
  of: Performance,
  { inputs, executor }: { readonly inputs: StepInputs; readonly executor: string | null },
): Promise<BorrowingContext> {
  const blob = sealedPlanOf(of.step);
  const sealedPlan = blob === null || of.settle ? null : await deps.blobs.get(blob);
  const { facts, step, signal, kill, childStarted, progress } = of;
  const borrowed = await borrow(deps, { facts, step, executor, signal });
  try {
    const context = await stepContext(deps, {
      facts,
      step,
      settings: inputs.settings,
      record: inputs.record,
      rotation: rotationOf(facts, inputs.group, step.group ?? ""),
      declaredOutputs: inputs.group?.outputs ?? Object.keys(inputs.record?.outputs ?? {}),
      sealedPlan,
      lent: borrowed.variables,
      signal,
      kill,
      childStarted,
      progress,
    });
    return { ...context, borrowed };
  } catch (error) {
    await borrowed.close();
    throw error;
  }
}

async function closing<T>(
  context: BorrowingContext,
  act: (ctx: SettlingContext) => Promise<T>,
): Promise<T> {
  try {
    return await act(context.ctx);
  } catch (error) {
    throw await context.borrowed.blame(error);
  } finally {
    await Promise.all([context.close(), context.borrowed.close()]);
  }
}

function executorOf(deps: EngineDeps, name: string | null): Executor {
  const executor = name === null ? undefined : deps.executors.get(name);
  if (executor === undefined)
    throw new GlasshouseError(
      "not-available",
      `There is no executor ${name ?? "(none)"} in this server.`,
    );
  return executor;
}

/** The first attempt applies the saved plan; a later one finds the world moved and plans afresh. */
function sealedPlanOf(step: Step): string | null {
  if (!isJsonObject(step.input) || step.attempts > 0) return null;
  const blob = step.input["sealedPlan"];
  return typeof blob === "string" ? blob : null;
}

function flagOf(input: Json, name: string): boolean {
  return isJsonObject(input) && input[name] === true;
}
