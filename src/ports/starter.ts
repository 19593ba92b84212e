import type { Environment } from "../domain/environment.ts";
import type { NewEvent } from "../domain/event.ts";
import type { Run } from "../domain/run.ts";
import type { Template } from "../domain/template.ts";
import type { Tx } from "./store.ts";

/**
 * A run that a transaction wants of an environment that it has just made: nothing can be before it. It is written by whoever runs
 * that transaction, as queued or as begun.
 */
export interface FirstRun {
  readonly run: Run;
  readonly environment: Environment;
  /** That of the environment's desired state, as the transaction has found it to be. */
  readonly template: Template;
  /** The trace that its command came with. */
  readonly traceparent: string | null;
}

/** What a transaction that takes a command in gives. */
export interface TakenIn<T> {
  readonly value: T;
  /** What may begin in the same transaction; null: whoever looks at the queue next begins what there is. */
  readonly first: FirstRun | null;
  /** What is told of it. Written by whoever runs the transaction, as one with what the beginning of `first` tells. */
  readonly events: readonly NewEvent[];
  /** When it was, RFC 3339. */
  readonly at: string;
}

/** Who can begin runs without their being looked for in the queue. */
export interface Starter {
  /**
   * Runs `fn` in a brief transaction, as `Store.transact` does. Where this process has a place free and may claim, the run
   * that `fn` gives begins in it as well, with its first steps claimed, so that both are one commit; otherwise it stays
   * queued. Beginning it is never the reason that what `fn` did is not kept: then `fn` runs again, by itself. Errors: those
   * of `Store.transact` without it.
   */
  takeIn<T>(fn: (tx: Tx) => Promise<TakenIn<T>>): Promise<T>;
}

/** Writes what a transaction has left to whoever runs it, where nothing begins in it. Gives what it gave. */
export async function leaveQueued<T>(tx: Tx, taken: TakenIn<T>): Promise<T> {
  const { value, first, events, at } = taken;
  if (first !== null) await tx.runs.insert(first.run);
  await tx.events.append(events, at);
  return value;
}
