import { GlasshouseError } from "../domain/errors.ts";
import { waitReason } from "../domain/label.ts";
import type { Step } from "../domain/step.ts";
import type { Page, PageRequest } from "../ports/page.ts";
import type { ReadTx } from "../ports/store.ts";
import type { LogLine } from "../ports/work.ts";
import type { Reads } from "./deps.ts";
import { findRun } from "./run-find.ts";
import { livingOffers } from "./worker.ts";

/** Steps of a run in their order. Errors: `not-found`. */
export async function listSteps(
  deps: Reads,
  runId: string,
  page: PageRequest,
): Promise<Page<Step>> {
  return deps.store.read(async (tx) => {
    await findRun(tx, runId);
    const { items, next } = await tx.steps.list(runId, page);
    return { items: await withWaits(tx, items), next };
  });
}

/** Errors: `not-found`. */
export async function getStep(deps: Reads, id: string): Promise<Step> {
  return deps.store.read(async (tx) => {
    const step = await findStep(tx, id);
    return (await withWaits(tx, [step]))[0] ?? step;
  });
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

/** A step that could begin and that nobody who is there can take says so. */
export async function withWaits(tx: ReadTx, steps: readonly Step[]): Promise<readonly Step[]> {
  if (!steps.some((step) => mayBegin(step))) return steps;
  const offers = await livingOffers(tx);
  return steps.map((step) => {
    const reason = mayBegin(step) ? waitReason(step.runsOn, offers) : null;
    return reason === null ? step : { ...step, reason };
  });
}

function mayBegin({ status }: Step): boolean {
  return status === "ready" || status === "unknown";
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
