import { timestamp } from "../ports/clock.ts";
import type { OwnedStep } from "../ports/work.ts";
import type { KnownWorker } from "../ports/worker.ts";
import type { EngineDeps } from "./deps.ts";
import type { Membership } from "./membership.ts";

/**
 * Looks for steps whose owners are gone and lets them be claimed again: their outcome is unknown, so whoever claims one
 * looks at the real world first. Three ways lead there, and none is earlier than the end of the owner's child:
 *
 * - the owner said that nothing of it runs any more (or, on a store of one process, somebody else holds that now);
 * - its lease ended, and since then its child's warden had the time it needs to stop it and a margin (the store counts);
 * - this server is on the owner's machine and sees that its process is gone, and so is the child of this step.
 *
 * Safe to repeat, and by many servers at once. True when something was taken.
 */
export async function takeOver(
  deps: Pick<EngineDeps, "store" | "clock" | "log" | "processes">,
  membership: Membership,
  how: { readonly always: boolean },
): Promise<boolean> {
  const { store, clock, log } = deps;
  const worker = membership.id;
  const known = await store.read((tx) => tx.workers.list());
  const others = known.filter(({ id }) => id !== worker);
  const proof = await proveDead(deps, others);
  const { dead, gone } = proof;
  const mayBeTaken = others.some(({ status, isLapsed }) => status === "gone" || isLapsed);
  if (!how.always && !mayBeTaken && dead.length === 0 && gone.length === 0) return false;
  const taken = await store.transact(async (tx) => {
    const steps = await tx.steps.abandon({ worker, now: timestamp(clock), dead });
    for (const id of gone) await tx.workers.setStatus(id, "gone");
    await tx.workers.removeGone();
    return steps;
  });
  if (taken.length === 0) return false;
  log.info("Steps of a worker that is gone are looked at before they go on", {
    steps: taken.length,
    workers: [...new Set(taken.map((step) => step.worker))],
  });
  return true;
}

/** Steps of this machine's dead workers whose children are dead too, and the workers of which nothing is left. */
async function proveDead(
  { store, processes }: Pick<EngineDeps, "store" | "processes">,
  others: readonly KnownWorker[],
): Promise<{ readonly dead: readonly OwnedStep[]; readonly gone: readonly string[] }> {
  const dead: OwnedStep[] = [];
  const gone: string[] = [];
  for (const { id, status, process } of others) {
    if (status === "gone" || !(await processes.isProvenGone(process))) continue;
    const owned = await store.read((tx) => tx.steps.ownedBy(id));
    let alive = 0;
    for (const step of owned) {
      if (step.child !== null && (await processes.isAlive(step.child))) alive += 1;
      else dead.push(step);
    }
    if (alive === 0) gone.push(id);
  }
  return { dead, gone };
}
