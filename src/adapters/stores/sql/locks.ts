/**
 * Who may change what while several transactions run side by side. Everything that belongs to an environment (its row, runs,
 * steps, records, secrets, states …) is read for a change and written only by the transaction that holds the environment;
 * every query that could break this asks for it here. With that, transactions on one environment run one after the other,
 * as if there were one writer, and those on different ones do not wait for each other. In a read nothing is held.
 */
export interface Locks {
  /** Waits until this transaction holds the environment. What was read of it before must be read again. */
  hold(environmentId: string): Promise<void>;
  holds(environmentId: string): boolean;
  /** Holds it when nobody else does; never waits. False: somebody else does, and the store looks again by itself. */
  tryHold(environmentId: string): Promise<boolean>;
  /**
   * Takes so many numbers of the held environment's sequence and gives the last one before them: the hold has told it, and
   * nobody else can change it. The caller stores the new one. Null where that is not known: then the row must be asked.
   */
  take(environmentId: string, count: number): Promise<number | null>;
  /** Says the sequence of the held environment's row, where a query has seen it. */
  saw(environmentId: string, sequence: number): void;
  /** Holds an environment that this transaction has just inserted, with this sequence: nobody else can see it yet. */
  made(environmentId: string, sequence: number): void;
  /** Holds the environment of the run. */
  holdRun(runId: string): Promise<void>;
  /** Says which environment a run belongs to, where a query has seen it: it never changes. */
  knows(runId: string, environmentId: string): void;
  /** From here on no other transaction is in this room. What was read before is read again, by running all of it again. */
  alone(room: Room): Promise<void>;
  /**
   * A row came between a look and an insert. Throws where transactions run side by side, so that all of it runs again and
   * sees that row; a few times, then it returns, and so it does where there is one writer.
   */
  overtaken(): void;
}

/**
 * What does not belong to one environment. `requirements`: which environments require which, and every transaction that
 * waits for a second environment: as one of those waits at a time, no two wait for each other. `templates`: their statuses.
 */
export type Room = "requirements" | "templates";

const settled = Promise.resolve();
const yes = Promise.resolve(true);
const notKnown = Promise.resolve(null);

/** For reads. Every query asks for one of these, so none makes a promise of its own. */
export const noLocks: Locks = {
  hold: () => settled,
  holds: () => true,
  tryHold: () => yes,
  take: () => notKnown,
  saw() {},
  made() {},
  holdRun: () => settled,
  knows() {},
  alone: () => settled,
  overtaken() {},
};
