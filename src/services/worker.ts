import { GlasshouseError } from "../domain/errors.ts";
import { offersAll, offersText } from "../domain/label.ts";
import type { ReadTx } from "../ports/store.ts";
import type { KnownWorker } from "../ports/worker.ts";
import type { Asking } from "./asking.ts";
import type { Reads } from "./deps.ts";

export interface WorkerRead {
  readonly worker: KnownWorker;
  /** Steps that it works on. */
  readonly running: number;
}

/** The workers that are there, and those that left something behind which nobody has taken yet. By id. */
export async function listWorkers(deps: Reads): Promise<readonly WorkerRead[]> {
  return deps.store.read(async (tx) => {
    const reads: WorkerRead[] = [];
    for (const worker of await tx.workers.list())
      reads.push({ worker, running: (await tx.steps.ownedBy(worker.id)).length });
    return reads;
  });
}

/** What the workers offer that take new steps: one list of labels each. Those that drain or whose lease has ended do not. */
export async function livingOffers(tx: ReadTx): Promise<readonly (readonly string[])[]> {
  const workers = await tx.workers.list();
  return workers.filter((one) => isLiving(one)).map(({ labels }) => labels);
}

function isLiving({ status, isLapsed }: KnownWorker): boolean {
  return status === "working" && !isLapsed;
}

/**
 * Refuses what no worker that is there can serve, naming labels, offers and the way out. What asks for no labels is taken in
 * whoever is there: it waits. Errors: `no-worker`.
 */
export async function refuseUnserved(tx: ReadTx, asking: readonly Asking[]): Promise<void> {
  const labelled = asking.filter(({ runsOn }) => runsOn.length > 0);
  if (labelled.length === 0) return;
  const offers = await livingOffers(tx);
  const unserved = labelled.filter(
    ({ runsOn }) => !offers.some((offered) => offersAll(offered, runsOn)),
  );
  const [first] = unserved;
  if (first === undefined) return;
  const labels = first.runsOn.join(",");
  const others = unserved.length > 1 ? ` (and ${unserved.length - 1} more, in \`errors\`)` : "";
  const message = `No worker can take ${first.what}${others}: it runs on workers that offer ${first.runsOn.join(", ")}, and ${offersText(offers)}. Start one (\`glasshouse server --engine-labels ${labels}\`), then send this again.`;
  throw new GlasshouseError("no-worker", message, {
    details: unserved.slice(0, 100).map(({ what, runsOn }) => ({
      message: `${what} runs on workers that offer ${runsOn.join(", ")}`,
    })),
  });
}
