import type { ConsulClient } from "../../../clients/consul/client.ts";
import { mostFollowed, watch, type WaitFor } from "../../../clients/consul/watch.ts";
import type { CheckOutcome } from "../../../domain/check.ts";
import type { CheckFollower } from "../../../ports/check.ts";
import { lookAt, type ConsulTarget } from "./outcome.ts";

/** A lost leader or a restart is over by then, and nobody need hear of it. */
const lostAfterMs = 5_000;

/** One target that is watched for all who follow it. */
interface Followed {
  readonly followers: Set<CheckFollower>;
  readonly end: AbortController;
  /** What is known now: an outcome, or why there is none. Null before the first answer. */
  known: { readonly outcome: CheckOutcome } | { readonly lost: string } | null;
  /** The last failure since Consul answered. */
  failure: string | null;
  timer: NodeJS.Timeout | null;
}

/**
 * Follows targets by blocking queries, each once however many checks look at it: it is watched from its first follower to its
 * last.
 */
export class Following {
  readonly #client: ConsulClient;
  readonly #followed = new Map<string, Followed>();

  constructor(client: ConsulClient) {
    this.#client = client;
  }

  /** False when as many are followed as may be. */
  follow(target: ConsulTarget, follower: CheckFollower): boolean {
    if (follower.signal.aborted) return true;
    const key = JSON.stringify([target.of, target.datacenter]);
    const known = this.#followed.get(key);
    if (known === undefined && this.#followed.size >= mostFollowed) return false;
    const followed = known ?? this.#begin(key, target);
    followed.followers.add(follower);
    follower.signal.addEventListener("abort", () => this.#leave(key, followed, follower));
    if (followed.known !== null) tell(follower, followed.known);
    return true;
  }

  #begin(key: string, target: ConsulTarget): Followed {
    const end = new AbortController();
    const followed: Followed = {
      followers: new Set(),
      end,
      known: null,
      failure: null,
      timer: null,
    };
    this.#followed.set(key, followed);
    void watch({
      read: (wait: WaitFor | null, signal) => lookAt(this.#client, target, { wait, signal }),
      changed: (outcome) => answered(followed, outcome),
      failed: (error) => failed(followed, error),
      signal: end.signal,
    });
    return followed;
  }

  #leave(key: string, followed: Followed, follower: CheckFollower): void {
    followed.followers.delete(follower);
    if (followed.followers.size > 0) return;
    followed.end.abort();
    if (followed.timer !== null) clearTimeout(followed.timer);
    this.#followed.delete(key);
  }
}

function answered(followed: Followed, outcome: CheckOutcome): void {
  if (followed.timer !== null) clearTimeout(followed.timer);
  followed.timer = null;
  followed.failure = null;
  know(followed, outcome.isUnknown === true ? { lost: outcome.detail } : { outcome });
}

/** Only a failure that lasts is told. */
function failed(followed: Followed, error: unknown): void {
  followed.failure = error instanceof Error ? error.message : String(error);
  followed.timer ??= setTimeout(() => {
    know(followed, { lost: `Consul cannot be asked: ${followed.failure ?? "it does not answer"}` });
  }, lostAfterMs).unref();
}

function know(followed: Followed, known: NonNullable<Followed["known"]>): void {
  if (JSON.stringify(known) === JSON.stringify(followed.known)) return;
  followed.known = known;
  for (const follower of followed.followers) tell(follower, known);
}

function tell(follower: CheckFollower, known: NonNullable<Followed["known"]>): void {
  if (follower.signal.aborted) return;
  if ("outcome" in known) follower.seen(known.outcome);
  else follower.lost(known.lost);
}
