import type {
  ExecutorContext,
  ExecutorPlan,
  ExecutorResult,
  Observation,
} from "../../../ports/executor.ts";
import * as applying from "./apply.ts";
import * as destroying from "./destroy.ts";
import { asStep, type KvHost } from "./host.ts";
import * as observing from "./observe.ts";

/** What the executor does, with errors in the words of steps. */
export function plan(host: KvHost, ctx: ExecutorContext): Promise<ExecutorPlan> {
  return asStep(ctx, () => applying.plan(host, ctx));
}

export function apply(host: KvHost, ctx: ExecutorContext): Promise<ExecutorResult> {
  return asStep(ctx, () => applying.apply(host, ctx));
}

export function destroy(host: KvHost, ctx: ExecutorContext): Promise<void> {
  return asStep(ctx, () => destroying.destroy(host, ctx));
}

export function observe(host: KvHost, ctx: ExecutorContext): Promise<Observation> {
  return asStep(ctx, () => observing.observe(host, ctx));
}
