import type { CheckOutcome } from "../domain/check.ts";

/** A check with its expressions evaluated. */
export type CheckTarget =
  | { readonly kind: "http"; readonly url: string; readonly expect: readonly number[] }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | {
      readonly kind: "consul";
      /** A service with a tag, where one is named, or a node. */
      readonly of:
        | { readonly service: string; readonly tag: string | null }
        | { readonly node: string };
      /** That of the configuration when null. */
      readonly datacenter: string | null;
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
  /**
   * Present where what it looks at tells of changes by itself. Following one target many times costs as much as once. False: there
   * is no room for one more target, and nothing will be told: look at it at its interval.
   */
  readonly follow?: (target: CheckTarget, told: CheckFollower) => boolean;
}

/** Who follows a target. Neither function may throw; both may be called before `follow` has returned. */
export interface CheckFollower {
  /** What there is at first, and after each change. */
  readonly seen: (outcome: CheckOutcome) => void;
  /** It cannot be asked for a while, and why. What was seen last is all that is known, until `seen` is called again. */
  readonly lost: (reason: string) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
}
