import type { SecretRef } from "../domain/value.ts";
import type { Executor } from "../ports/executor.ts";
import type { GroupCase } from "./executor-group.ts";

/**
 * What an executor brings to its contract suite: groups that act on a directory, the world, so that the suite can look at
 * what really happened. Every process that a group starts in the world has the world's path in its arguments.
 */
export interface ExecutorSubject {
  readonly name: string;
  /** Why the suite cannot run here, or false. */
  readonly skip: string | false;
  executor(): Promise<Executor>;
  /** Makes `<world>/thing` with this word in it, delivers the word as output `word`, and takes the thing down. */
  thing(world: string, word: string): GroupCase;
  /** Changes the thing behind the executor's back; null when the executor could not see that. */
  readonly tamper: ((world: string) => void) | null;
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
