import { setTimeout as sleep } from "node:timers/promises";

/** What was asked was not answered in time. */
export class NoAnswer extends Error {}

/** Rejects with `NoAnswer` when it takes longer. What was begun goes on and is of no use any more: its end is not waited for. */
export async function within<T>(limitMs: number, work: () => Promise<T>): Promise<T> {
  const end = new AbortController();
  const late = sleep(limitMs, undefined, { signal: end.signal }).then(() => {
    throw new NoAnswer(`no answer came in ${Math.round(limitMs / 1000)} s`);
  });
  // The loser of the race has nobody who would hear it.
  late.catch(() => undefined);
  try {
    return await Promise.race([work(), late]);
  } finally {
    end.abort();
  }
}
