import type { NamedServices } from "./service-address.ts";

/** What was looked at, what was found, and what to do about it. */
export interface Finding {
  readonly about: string;
  /** `bad`: something will not work. */
  readonly level: "good" | "warning" | "bad";
  readonly found: string;
  readonly advice: string | null;
}

/** What looks stand on. */
export interface LookDeps {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly named: NamedServices;
}
