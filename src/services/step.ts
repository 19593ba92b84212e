import { GlasshouseError } from "../domain/errors.ts";
import type { Step } from "../domain/step.ts";
import type { Page, PageRequest } from "../ports/page.ts";
import type { ReadTx } from "../ports/store.ts";
import type { LogLine } from "../ports/work.ts";
import type { Reads } from "./deps.ts";
import { findRun } from "./run-find.ts";

/** Steps of a run in their order. Errors: `not-found`. */
export async function listSteps(
  deps: Reads,
  runId: string,
  page: PageRequest,
): Promise<Page<Step>> {
  return deps.store.read(async (tx) => {
    await findRun(tx, runId);
    return tx.steps.list(runId, page);
  });
}

/** Errors: `not-found`. */
export async function getStep(deps: Reads, id: string): Promise<Step> {
  return deps.store.read((tx) => findStep(tx, id));
}

/** Lines after a number, oldest first. Errors: `not-found`. */
export async function readStepLog(
  deps: Reads,
  stepId: string,
  range: { readonly after: number; readonly limit: number },
): Promise<readonly LogLine[]> {
  return deps.store.read(async (tx) => {
    await findStep(tx, stepId);
    return tx.logs.after(stepId, range.after, range.limit);
  });
}

async function findStep(tx: ReadTx, id: string): Promise<Step> {
  const step = await tx.steps.get(id);
  if (step !== null) return step;
  throw new GlasshouseError(
    "not-found",
    `There is no step ${id}: check the id; \`glasshouse run show RUN\` lists the steps of a run.`,
  );
}

const pageSize = 500;

/** All steps of a run. */
export async function allSteps(tx: ReadTx, runId: string): Promise<readonly Step[]> {
  const found: Step[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<Step> = await tx.steps.list(runId, { limit: pageSize, cursor });
    found.push(...page.items);
    cursor = page.next;
  } while (cursor !== null);
  return found;
}
