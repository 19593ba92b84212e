import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { ExecutorContext } from "../../../ports/executor.ts";
import type { Layout } from "./directory.ts";
import { writePrivate } from "./directory.ts";
import type { TerraformState } from "./state-file.ts";

const originMark = z.object({
  stepId: z.string(),
  token: z.number(),
  /** The sealed state that it started from; null when there was none. */
  base: z.object({ serial: z.number(), lineage: z.string() }).nullable(),
});

type Base = Pick<TerraformState, "serial" | "lineage"> | null;

/** To be written before the state that Terraform starts from, so that none ever lies here without it. */
export async function markOrigin(ctx: ExecutorContext, layout: Layout, base: Base): Promise<void> {
  const of = base === null ? null : { serial: base.serial, lineage: base.lineage };
  const mark = { stepId: ctx.stepId, token: ctx.token, base: of };
  await writePrivate(layout.origin, JSON.stringify(mark));
}

/**
 * Whether what Terraform left on this disk is the newest there is of the group. It is not when a worker on another machine
 * has gone on from what the store had, and serials do not tell: the one that was cut off may have counted further than the
 * one that went on. So:
 *
 * - of this step's earlier attempts the last one that started a program must be the one that left it;
 * - when this step has had none, the last sealed state must still be the one that it was begun from.
 *
 * Files without a mark come from a version of this program that knew one worker only.
 */
export async function isNewestHere(
  ctx: Pick<ExecutorContext, "attempts">,
  layout: Layout,
  sealed: Base,
): Promise<boolean> {
  const mark = await readMark(layout.origin);
  if (mark === null) return true;
  const last = ctx.attempts.findLast(({ child }) => child !== null);
  if (last !== undefined) return last.stepId === mark.stepId && last.token === mark.token;
  return sealed?.serial === mark.base?.serial && sealed?.lineage === mark.base?.lineage;
}

async function readMark(path: string): Promise<z.infer<typeof originMark> | null> {
  try {
    const parsed = originMark.safeParse(JSON.parse(await readFile(path, "utf8")));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
