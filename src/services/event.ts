import type { JournalEvent } from "../domain/event.ts";
import type { Reads } from "./deps.ts";

/** Events after a position, oldest first. */
export async function listEvents(
  deps: Reads,
  after: number,
  filter: { readonly environmentId?: string; readonly runId?: string; readonly limit: number },
): Promise<readonly JournalEvent[]> {
  return deps.store.read((tx) => tx.events.after(after, filter));
}

/** The newest position, and the oldest that retention has left: a cursor before it has a gap. */
export async function journalEdges(
  deps: Reads,
): Promise<{ readonly head: number; readonly oldest: number }> {
  return deps.store.read(async (tx) => ({
    head: await tx.events.head(),
    oldest: await tx.events.oldest(),
  }));
}
