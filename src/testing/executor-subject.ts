import type { SecretRef } from "../domain/value.ts";
import type { Executor } from "../ports/executor.ts";
import type { GroupCase } from "./executor-group.ts";

/**
 * What an executor brings to its contract suite: groups that act on a world of the case's own, so that the suite can look at
 * what really happened. A world is an empty directory; what acts elsewhere takes the last part of its path as a name.
 */
export interface ExecutorSubject {
  readonly name: string;
  /** Why the suite cannot run here, or false. */
  readonly skip: string | false;
  executor(): Promise<Executor>;
  /** Makes the thing with this word in it (`<world>/thing`), delivers the word as output `word`, and takes the thing down. */
  thing(world: string, word: string): GroupCase;
  /** What is in the world, by name; the thing under `thing`. The files of the directory when left out. */
  readonly look?: (world: string) => Promise<WorldContents>;
  /** Changes the thing behind the executor's back; null when the executor could not see that. */
  readonly tamper: ((world: string) => void | Promise<void>) | null;
  /** Null for an executor that starts no processes. */
  readonly processes: ProcessSubject | null;
}

export type WorldContents = Readonly<Record<string, string>>;

/** Groups that act through processes. Every process of a group has the world's path in its arguments. */
export interface ProcessSubject {
  /** Makes `<world>/up`, then waits until it is stopped; a descendant in a session of its own waits too. */
  waiting(world: string): GroupCase;
  /** The same, but does not stop when asked; null when there is no such thing. */
  readonly stubborn: ((world: string) => GroupCase) | null;
  /** Fails for good after it printed the secret. */
  failing(world: string, secret: SecretRef): GroupCase;
  /** Makes `<world>/up`, prints the secret, waits for `<world>/go-on`, delivers the secret as output `password`. */
  secretive(world: string, secret: SecretRef): GroupCase;
  /** Path of the module that exports this as `subject`, for a server that is killed. */
  readonly module: string;
}
