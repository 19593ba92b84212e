import { setTimeout as sleep } from "node:timers/promises";

/** Rejects when it takes longer. What was begun goes on and is of no use any more: its end is not waited for. */
export async function within<T>(limitMs: number, work: () => Promise<T>): Promise<T> {
  const end = new AbortController();
  const late = sleep(limitMs, undefined, { signal: end.signal }).then(() => {
    throw new Error(`no answer came in ${Math.round(limitMs / 1000)} s`);
  });
  // The loser of the race has nobody who would hear it.
  late.catch(() => undefined);
  try {
    return await Promise.race([work(), late]);
  } finally {
    end.abort();
  }
}
