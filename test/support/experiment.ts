/** A mechanism of a promise, and a scenario that says what is wrong after it: nothing with the mechanism, something without. */
export interface Experiment {
  readonly promise: string;
  readonly mechanism: string;
  /** Null when the promise was kept. */
  readonly run: (on: boolean) => Promise<string | null>;
}
