/** What was looked at, what was found, and what to do about it. */
export interface Finding {
  readonly about: string;
  /** `bad`: something will not work. */
  readonly level: "good" | "warning" | "bad";
  readonly found: string;
  readonly advice: string | null;
}
