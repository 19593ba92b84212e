import type { Json } from "../lib/json.ts";

/** How a check looks: exactly one of these members. Values may hold expressions until they are evaluated. */
export type CheckProbe =
  | { readonly http: string; readonly expect: readonly number[] }
  | { readonly tcp: string }
  | { readonly consul: ConsulProbe }
  | { readonly command: readonly Json[] };

/** A service or a node that Consul must know, and find healthy. */
export type ConsulProbe =
  | {
      readonly service: string;
      /** That of the configuration when null. */
      readonly datacenter: string | null;
      readonly tag: string | null;
    }
  | { readonly node: string; readonly datacenter: string | null };

/** A check as the template declares it. Times in milliseconds. */
export interface Check {
  readonly description: string;
  readonly probe: CheckProbe;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** So many failures in a row turn a healthy thing unhealthy. */
  readonly failures: number;
  /** The validating phase waits this long for it to pass. */
  readonly withinMs: number;
  /** Labels that the worker that looks must offer. A resource's check without any looks from where its group is made. */
  readonly runsOn?: readonly string[];
}

/** Labels of the worker that looks: the check's own, else those of the group whose resource it belongs to. */
export function runsOnOfCheck(
  check: Check,
  group: { readonly runsOn?: readonly string[] } | null,
): readonly string[] {
  return check.runsOn ?? group?.runsOn ?? [];
}

export interface CheckOutcome {
  readonly healthy: boolean;
  /** What was seen, for people: "HTTP 503", "connection refused". */
  readonly detail: string;
  /** Whoever knows of it could not be asked: nothing was seen, and `detail` says why. Then it is not healthy either. */
  readonly isUnknown?: true;
}

/** What is known of one check of an environment. `key` is `check` or `group.resource.check`. */
export interface CheckState {
  readonly environmentId: string;
  readonly key: string;
  readonly status: "pending" | "passing" | "failing";
  readonly detail: string;
  /** The evaluated target: URL, host:port or command. */
  readonly target: string;
  /** When what is said here was seen first. */
  readonly checkedAt: string | null;
  /** Why it cannot be looked at now: all else is what was seen last. Null while it can. */
  readonly lost: string | null;
}

export const checkDefaults = {
  intervalMs: 30_000,
  timeoutMs: 5_000,
  failures: 3,
  withinMs: 300_000,
} as const;
