import type { Run } from "../../../domain/run.ts";
import type { Fence } from "../../../ports/work.ts";
import { sqlState } from "../../../clients/postgres/errors.ts";
import { unforeseenCode } from "../sql/migrations/0015-foreseen-ends.ts";
import type { Session } from "../sql/session.ts";
import type { StepRow } from "../sql/step-rows.ts";

/** A step that waits for others. */
export interface WaitingStep extends StepRow {
  /** The transaction that has written the row: another one after every change of it. */
  readonly version: string;
}

/** What a run was after a commit of this process. */
export interface SeenRun {
  readonly progress: Run["progress"];
  readonly runAttempt: number;
  readonly parallelism: number;
}

/** What the end of a step will find, unless somebody else changes it before. */
export interface Foreseen {
  readonly run: SeenRun;
  /** Of its environment's events. */
  readonly sequence: number;
  readonly worker: string;
  /** The one step that waits for it, and for nothing else; it can take its place. */
  readonly next: WaitingStep;
}

/** A step that a transaction has claimed in place of another one. */
export type Taken = Pick<StepRow, "id" | "token" | "environmentId" | "lane"> & {
  readonly worker: string;
};

interface Sight {
  readonly taken: Taken;
  readonly run: SeenRun;
  readonly next: WaitingStep;
}

type Kept = Foreseen & { readonly token: number };

/** More steps than any worker has places for need not be remembered. */
const mostKept = 1_024;

/**
 * What this process knows of the steps that it has claimed in place: then their ends need not ask, and go to the database and
 * back once, with their commit. The statement that ends a step looks whether all is as it was foreseen, and fails if it is
 * not; so whatever is remembered here may be wrong, which costs a way more, and never what is written.
 */
export class Foresight {
  readonly #kept = new Map<string, Kept>();
  /** Transactions whose end may rely on it, with what they have seen. */
  readonly #sights = new WeakMap<Session, Sight[]>();

  readonly #trusting = new WeakSet<Session>();

  /** Lets the transaction rely on it: it has nobody at its side who would be undone with it. */
  allow(session: Session): void {
    this.#sights.set(session, []);
  }

  /** Whether what the transaction has seen would be remembered. */
  isAllowed(session: Session): boolean {
    return this.#sights.has(session);
  }

  /** Whether the transaction was told what may turn out not to be so. */
  isTrustedBy(session: Session): boolean {
    return this.#trusting.has(session);
  }

  /** What is foreseen of the end of this claim. It is given once: whoever finds it wrong must not find it again. */
  take(session: Session, { stepId, token }: Fence): Foreseen | null {
    const kept = this.#sights.has(session) ? this.#kept.get(stepId) : undefined;
    if (kept === undefined) return null;
    this.#kept.delete(stepId);
    if (kept.token !== token) return null;
    this.#trusting.add(session);
    return kept;
  }

  /** What waits for a step that the transaction has claimed, all of it or two of many, and its run as it was then. */
  saw(
    session: Session,
    of: {
      readonly taken: Taken;
      readonly run: SeenRun;
      readonly waiting: readonly WaitingStep[];
    },
  ): void {
    const { taken, run, waiting } = of;
    const [next, ...others] = waiting;
    if (next === undefined || others.length > 0) return;
    if (next.status !== "blocked" || next.waitingOn !== 1 || next.lane !== taken.lane) return;
    this.#sights.get(session)?.push({ taken, run, next });
  }

  /** The transaction is committed, and so is what it has seen. */
  committed(session: Session): void {
    for (const sight of this.#sights.get(session) ?? []) void this.#keep(session, sight);
  }

  async #keep(session: Session, { taken, run, next }: Sight): Promise<void> {
    const { id, token, worker, environmentId } = taken;
    const sequence = await session.locks.take(environmentId, 0);
    if (sequence === null) return;
    const oldest = this.#kept.size >= mostKept ? this.#kept.keys().next() : null;
    if (oldest !== null && oldest.done !== true) this.#kept.delete(oldest.value);
    this.#kept.set(id, { token, run, next, worker, sequence });
  }
}

/** Whether a transaction was undone because something was not as it was foreseen. */
export function isUnforeseen(error: unknown): boolean {
  return sqlState(error) === unforeseenCode;
}
