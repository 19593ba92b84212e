/** The steps of one executor for one template. */
export interface Borrower {
  readonly executor: string;
  readonly template: string;
}

/** Makes credentials that live as long as one attempt of a step. */
export interface CredentialLender {
  /** Whether steps of this kind are lent any. Costs nothing. */
  lends(to: Borrower): boolean;
  /**
   * Makes them, and keeps them in force until they are ended. `record` stores each as soon as it is made, before anybody uses it;
   * when that fails it is taken back. Errors: `unavailable` while whoever makes them is away or denies it, `invalid-configuration`
   * when what was granted does not exist, those of `record`.
   */
  lend(
    to: Borrower,
    how: { readonly record: (lease: string) => Promise<void>; readonly signal: AbortSignal },
  ): Promise<Loan>;
  /** Ends what somebody was lent. One that is over is no error. Safe to repeat. Errors: `unavailable`. */
  end(leases: readonly string[]): Promise<void>;
}

/** What one attempt was lent. */
export interface Loan {
  readonly leases: readonly string[];
  /** For the environment of the attempt's own children, and nothing else. */
  readonly variables: Readonly<Record<string, string>>;
  /** Whether any of it is over, though nobody here has ended it. Errors: `unavailable`. */
  isOver(): Promise<boolean>;
  /** Ends all of it. Safe to repeat. Errors: `unavailable`. */
  end(): Promise<void>;
}
