import { setTimeout as sleep } from "node:timers/promises";
import { GlasshouseError } from "../domain/errors.ts";
import type { Step } from "../domain/step.ts";
import { timestamp } from "../ports/clock.ts";
import type { CredentialLender, Loan } from "../ports/credentials.ts";
import type { EngineDeps } from "./deps.ts";
import { fenceOf } from "./fence.ts";
import type { RunFacts } from "./run-cache.ts";

/** What an attempt was lent, from before its executor begins until after it has ended. */
export interface Borrowed {
  readonly variables: Readonly<Record<string, string>>;
  /** The error, or in its place that what was lent was over: then the attempt could not but fail. */
  blame(error: unknown): Promise<unknown>;
  /** Ends it. What cannot be ended now is ended later, here or elsewhere. */
  close(): Promise<void>;
}

export interface BorrowFacts {
  readonly facts: RunFacts;
  readonly step: Step;
  readonly executor: string | null;
  readonly signal: AbortSignal;
}

const nothing: Borrowed = { variables: {}, blame: async (error) => error, close: async () => {} };

/** Whoever is refused may know it a moment before the lender does. */
const looksAfterMs = [0, 500, 1_500];

/** Borrows what the operator grants to steps like this one. Each lease is stored before it is used. Errors: those of the lender; `stale-token`. */
export async function borrow(deps: EngineDeps, of: BorrowFacts): Promise<Borrowed> {
  const { lender, store } = deps;
  const { facts, step, executor, signal } = of;
  const borrower = { executor: executor ?? "", template: facts.template.name };
  if (lender === null || !lender.lends(borrower)) return nothing;
  const fence = fenceOf(step);
  const record = (id: string): Promise<void> =>
    store.transact(async (tx) => {
      await tx.steps.fence(fence);
      const { environmentId, stepId, token } = fence;
      await tx.loans.put({ id, environmentId, stepId, token, madeAt: timestamp(deps.clock) });
    });
  const loan = await lender.lend(borrower, { record, signal });
  return {
    variables: loan.variables,
    blame: async (error) => (signal.aborted ? error : blamed(loan, error)),
    close: () => giveBack(deps, step, loan),
  };
}

async function blamed(loan: Loan, error: unknown): Promise<unknown> {
  const words = error instanceof Error ? error.message : String(error);
  for (const delayMs of looksAfterMs) {
    await sleep(delayMs);
    // Whether it is over cannot be said while the lender is away: then the error stands.
    if (await loan.isOver().catch(() => false))
      return new GlasshouseError(
        "credentials-ended",
        `The credentials that the step was lent ended before it did: ${words}`,
        { cause: error },
      );
  }
  return error;
}

async function giveBack(deps: EngineDeps, step: Step, loan: Loan): Promise<void> {
  try {
    await loan.end();
    await deps.store.transact((tx) => tx.loans.remove(loan.leases));
  } catch (error) {
    deps.log.warn("A step's credentials could not be ended; it is tried again", {
      stepId: step.id,
      error,
    });
  }
}

const lookEveryMs = 15_000;
const batch = 100;

/** Ends what attempts were lent that are over and did not end it: their worker died, or could not. */
export class LeftLoans {
  readonly #deps: EngineDeps;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | null = null;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
  }

  /** How long until the next look has a use. */
  nextLookMs(): number {
    if (this.#deps.lender === null) return Number.POSITIVE_INFINITY;
    return Math.max(0, lookEveryMs - (this.#deps.clock.monotonic() - this.#lookedAtMs));
  }

  /** Looks when it is time to; costs nothing otherwise. Work does not wait for it: a lender that is away may take long to say so. */
  look(): void {
    const { lender, clock } = this.#deps;
    if (lender === null || this.#looking !== null || this.nextLookMs() > 0) return;
    this.#lookedAtMs = clock.monotonic();
    this.#looking = this.#endLeft(lender).finally(() => (this.#looking = null));
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#looking;
  }

  async #endLeft(lender: CredentialLender): Promise<void> {
    const { store, log } = this.#deps;
    try {
      const left = await store.read((tx) => tx.loans.left(batch));
      if (left.length === 0) return;
      const ids = left.map(({ id }) => id);
      await lender.end(ids);
      await store.transact((tx) => tx.loans.remove(ids));
      log.info("Credentials were ended that an attempt before had left", { leases: ids.length });
    } catch (error) {
      log.warn("Credentials that an attempt had left could not be ended; it is tried again", {
        error,
      });
    }
  }
}
