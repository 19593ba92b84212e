import { GlasshouseError } from "../domain/errors.ts";
import type { Values } from "../domain/value.ts";
import type {
  Executor,
  ExecutorContext,
  ExecutorPlan,
  ExecutorResult,
  Observation,
  Settlement,
} from "../ports/executor.ts";

/** What happened, in order: the outside view that tests judge by. */
export interface LedgerEntry {
  readonly group: string;
  readonly what: "apply" | "applied" | "destroy" | "destroyed" | "observe" | "plan" | "settle";
}

export interface FakeExecutorOptions {
  readonly name?: string;
  /** What an apply does, before it counts as done. */
  readonly act?: (ctx: ExecutorContext) => Promise<void>;
  readonly outputs?: (ctx: ExecutorContext) => Values;
  readonly observe?: (ctx: ExecutorContext) => Observation;
  readonly settle?: (ctx: ExecutorContext) => Settlement;
  readonly destroy?: (ctx: ExecutorContext) => Promise<void>;
  readonly plan?: (ctx: ExecutorContext) => ExecutorPlan;
}

export interface FakeExecutor extends Executor {
  readonly ledger: readonly LedgerEntry[];
  /** Groups in the order of one kind of entry. */
  order(what: LedgerEntry["what"]): readonly string[];
}

/** An executor whose real world is a list. Everything about it can be bent by the test. */
export function fakeExecutor(options: FakeExecutorOptions = {}): FakeExecutor {
  const ledger: LedgerEntry[] = [];
  const enter = (ctx: ExecutorContext, what: LedgerEntry["what"]): void =>
    void ledger.push({ group: ctx.group, what });
  const result = (ctx: ExecutorContext): ExecutorResult => ({
    outputs:
      options.outputs?.(ctx) ??
      Object.fromEntries(ctx.declaredOutputs.map((name) => [name, `${ctx.group}.${name}`])),
    observed: [{ address: ctx.group, type: "fake", externalId: ctx.group, attributes: {} }],
    changes: [{ address: ctx.group, action: "create" }],
    memory: null,
  });
  return {
    name: options.name ?? "command",
    behaviour: 1,
    settings: { type: "any", secret: true },
    filesOf: () => [],
    validate: () => [],
    ledger,
    order: (what) => ledger.filter((entry) => entry.what === what).map((entry) => entry.group),
    plan: async (ctx) => {
      enter(ctx, "plan");
      return (
        options.plan?.(ctx) ?? { changes: [{ address: ctx.group, action: "create" }], saved: null }
      );
    },
    apply: async (ctx) => {
      enter(ctx, "apply");
      await options.act?.(ctx);
      enter(ctx, "applied");
      return result(ctx);
    },
    destroy: async (ctx) => {
      enter(ctx, "destroy");
      await options.destroy?.(ctx);
      enter(ctx, "destroyed");
    },
    observe: async (ctx) => {
      enter(ctx, "observe");
      return options.observe?.(ctx) ?? { drift: "none", changes: [], observed: [], outputs: null };
    },
    settle: async (ctx) => {
      enter(ctx, "settle");
      return options.settle?.(ctx) ?? { kind: "again" };
    },
  };
}

/** Resolves when the step is asked to stop. */
export function untilInterrupted(ctx: ExecutorContext): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(new GlasshouseError("step-interrupted", "It was interrupted."));
    if (ctx.signal.aborted) stop();
    else ctx.signal.addEventListener("abort", stop, { once: true });
  });
}
