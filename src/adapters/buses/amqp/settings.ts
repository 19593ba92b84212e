import type { Clock } from "../../../ports/clock.ts";
import type { Log, Metrics } from "../../../ports/telemetry.ts";

export interface AmqpOptions {
  readonly settings: AmqpSettings;
  /** Where the hosts change while the program runs: those of now, asked at each connect. None: those of the settings are tried. */
  readonly hosts?: () => readonly string[];
  /** As they are now; asked whenever they may have changed. Errors: `invalid-configuration`. */
  readonly credentials: () => Promise<AmqpCredentials>;
  /** Calls `changed` when they may have. The returned function ends it. */
  readonly watchCredentials: (changed: () => void) => () => void;
  /** Users that take turns, where credentials are such: told how it goes with them. */
  readonly users?: AmqpUsers;
  /** A mark on a text that nobody but servers of this service can make. */
  readonly prove: (text: string) => string;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "count">;
  /** Told when the broker comes and goes. */
  readonly connection: AmqpConnectionState;
}

export interface AmqpUsers {
  /** Calls `fn` when there is another one. The returned function ends it. */
  watch(fn: () => void): () => void;
  /** The broker refuses this one: when it is over, there is another one when this resolves. */
  refused(user: { readonly username: string }): Promise<void>;
  /** All goes over the one that was given last: those before it may end. */
  settled(): Promise<void>;
}

export interface AmqpSettings {
  /** `host:port` of each node of the broker; the next one is tried when one is away. */
  readonly hosts: readonly string[];
  readonly vhost: string;
  /** Commands that are worked on at once. */
  readonly prefetch: number;
  /** Commands that may wait in the queue; beyond, the broker refuses them to their senders. */
  readonly maxLength: number;
  /** How often a command may come back unanswered before the broker lays it with the dead letters. */
  readonly deliveryLimit: number;
}

export interface AmqpCredentials {
  readonly username: string;
  readonly password: string;
  /** Null: plain TCP. */
  readonly tls: AmqpTls | null;
}

export interface AmqpTls {
  /** PEM; the machine's authorities when absent. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface AmqpConnectionState {
  up(latencyMs?: number | null): void;
  down(error: unknown): void;
}

/** Times in milliseconds. Tests make them shorter. */
export interface AmqpTimes {
  /** A message that is not confirmed by then is sent again, over a new channel. */
  readonly confirmMs: number;
  /** For opening a channel and declaring. */
  readonly openMs: number;
  /** A message that cannot be taken now stays in hand so long; then all go back and nothing is taken until it can be. */
  readonly holdMs: number;
  /** For what is under way when a connection is replaced or closed. */
  readonly drainMs: number;
}

export const amqpTimes: AmqpTimes = {
  confirmMs: 10_000,
  openMs: 10_000,
  holdMs: 20_000,
  drainMs: 30_000,
};
