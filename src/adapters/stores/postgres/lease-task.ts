import type { Identity } from "../../../clients/postgres/logins.ts";
import type { LeaseTimes } from "../../../domain/lease.ts";

/** What the thread that renews a lease is given. */
export interface LeaseTask {
  readonly url: string;
  readonly password?: string | undefined;
  readonly caFile?: string | undefined;
  readonly identity: Identity;
  readonly worker: string;
  readonly times: LeaseTimes;
  /** Of a `LeaseCell`. */
  readonly buffer: SharedArrayBuffer;
}

/** What it says: a renewal was granted, the worker is gone, or why a renewal failed. */
export type LeaseWord = "renewed" | "lost" | { readonly failed: string };

/** What it is told: renew no more, and end. */
export const stopWord = "stop";

/** What else it is told: from now on connect like this. */
export interface IdentityWord {
  readonly identity: Identity;
}

/** And: from now on connect here. */
export interface UrlWord {
  readonly url: string;
}
