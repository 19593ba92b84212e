import { noLocks, type Locks } from "../sql/locks.ts";

/** One writer at a time holds everything. What it has seen of a sequence is right until its end, and need not be asked. */
export function writerLocks(): Locks {
  const sequences = new Map<string, number>();
  const note = (environmentId: string, sequence: number): void => {
    sequences.set(environmentId, sequence);
  };
  return {
    ...noLocks,
    saw: note,
    made: note,
    async take(environmentId, count) {
      const known = sequences.get(environmentId);
      if (known === undefined) return null;
      sequences.set(environmentId, known + count);
      return known;
    },
  };
}
