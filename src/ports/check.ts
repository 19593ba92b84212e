import type { CheckOutcome } from "../domain/check.ts";

/** A check with its expressions evaluated. */
export type CheckTarget =
  | { readonly kind: "http"; readonly url: string; readonly expect: readonly number[] }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | {
      readonly kind: "consul";
      readonly service: string;
      /** That of the configuration when null. */
      readonly datacenter: string | null;
      readonly tag: string | null;
    }
  | {
      readonly kind: "command";
      readonly argv: readonly string[];
      readonly directory: string;
      readonly env: Readonly<Record<string, string>>;
    };

/** Looks once. Never throws for what it saw: an unreachable target is an unhealthy outcome. Aborting rejects. */
export interface Checker {
  readonly kind: CheckTarget["kind"];
  check(
    target: CheckTarget,
    limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<CheckOutcome>;
}
