import type { ExecutorContext, ExecutorResult, Settlement } from "../../../ports/executor.ts";
import { layoutOf, withDirectory } from "./directory.ts";
import type { Harvest } from "./harvest.ts";
import { harvest } from "./harvest.ts";
import { lastInit } from "./init.ts";
import type { Means } from "./job.ts";
import { prepareJob } from "./job.ts";
import { leakText } from "./leaks.ts";
import { resultOf } from "./result.ts";
import { sealHarvest } from "./seal.ts";
import { parseSettings } from "./settings.ts";

/**
 * After an attempt of unknown outcome, its child proven dead: gathers what it left, seals it, and compares it with what it
 * had begun. Doing it again is safe unless something may exist that no state knows: that a person has to say.
 */
export async function settleGroup(
  ctx: ExecutorContext & { readonly operation: "apply" | "destroy" },
  means: Means,
): Promise<Settlement> {
  return await withDirectory(ctx.workDirectory, ctx.signal, async () => {
    const layout = layoutOf(ctx.workDirectory, parseSettings(ctx.settings).source);
    const left = await harvest(ctx, layout);
    await sealHarvest(ctx, layout, left);
    if (left.leaks.length > 0) {
      return {
        kind: "ask",
        reason: "suspected-leak",
        detail: leakText(ctx.group, left.leaks),
        addresses: left.leaks.map(({ address }) => address),
      };
    }
    const result = left.finished ? await lostResult(ctx, means, left) : null;
    return result === null ? { kind: "again" } : { kind: "done", result };
  });
}

/** The program had said that all is done; only its result was not recorded. Null when it cannot be told any more. */
async function lostResult(
  ctx: ExecutorContext & { readonly operation: "apply" | "destroy" },
  means: Means,
  left: Harvest,
): Promise<ExecutorResult | null> {
  const { state, changes } = left;
  if (state === null || (ctx.operation === "destroy" && state.instances.length > 0)) return null;
  try {
    const job = await prepareJob(ctx, means);
    const initialised = await lastInit(job.layout);
    return await resultOf(job, { state, changes, initialised });
  } catch {
    // Doing it again says what is in the way.
    return null;
  }
}
