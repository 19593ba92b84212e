import type { Command, RefusedMessage, ReplyAddress } from "../domain/command.ts";
import type { JournalEvent } from "../domain/event.ts";

/**
 * Messages in and out. Commands come to one queue that all replicas share; notifications and answers go out. At least once,
 * both ways: who takes a message dedupes it by its id. A bus that is down heals by itself and fails nothing else.
 */
export interface Bus {
  /** `embedded`, `amqp`. */
  readonly kind: string;
  /** Begins to connect and goes on trying for ever. Never rejects because the bus is down. */
  start(): Promise<void>;
  /**
   * Calls `take` for each command that comes, a bounded number at once, from now on. A message is gone from the bus only
   * after `take` has said what became of it and its answer is out; when the process dies before, it comes again. Messages
   * that `take` wants again later are kept; when nobody's can be taken for long, nothing is taken until that is over, which
   * brings no message nearer to the dead letters but by one delivery. `take` never rejects.
   */
  consume(take: (message: BusMessage) => Promise<Verdict>): void;
  /** Takes nothing more; resolves when what was taken is answered. */
  stopConsuming(): Promise<void>;
  /**
   * Sends in order and resolves when the bus has them all for good. Calls may overlap: they are sent in the order of the
   * calls. Rejects with `unavailable` when that is not certain in time; any of them may have been sent, so all are sent again.
   */
  publish(messages: readonly BusNotice[]): Promise<readonly PublishOutcome[]>;
  /** For health and people. Never rejects. */
  status(): Promise<BusStatus>;
  /** Moves dead letters back to the commands. Each is in one place at any time, in both when a crash comes between. Errors: `unavailable`. */
  redrive(asked: RedriveRequest): Promise<Redriven>;
  /** Stops consuming, lets what is being sent end, and disconnects. */
  close(): Promise<void>;
}

/** One message of the command queue as it came. */
export interface BusMessage {
  readonly body: Uint8Array;
  readonly contentType: string | null;
  readonly replyTo: string | null;
  readonly correlationId: string | null;
  /** Who sent it, as the bus vouches for it. */
  readonly sender: string | null;
  readonly traceparent: string | null;
}

/** What became of a message. */
export type Verdict = Decided | Undecided;

export type Decided = Taken | Parked;

/** It is in the inbox, or refused in a way that the journal keeps. */
export interface Taken {
  readonly outcome: "taken";
  readonly reply: Reply | null;
}

/** It cannot be taken: it goes to the dead letters, with why. */
export interface Parked {
  readonly outcome: "parked";
  readonly reason: string;
  readonly detail: string;
  readonly reply: Reply | null;
}

/** Not now. */
export interface Undecided {
  readonly outcome: "again";
  readonly error: unknown;
  /** What becomes of it when it has waited for a while; null: nobody's messages can be taken now, so it waits as long as it takes. */
  readonly otherwise: Parked | null;
}

/** What goes out. */
export type BusNotice =
  | { readonly kind: "event"; readonly event: JournalEvent; readonly origin: EventOrigin | null }
  | { readonly kind: "reply"; readonly reply: Reply };

/** Of the command that caused an event. */
export interface EventOrigin {
  readonly traceparent: string | null;
  readonly correlationId: string | null;
}

/** An answer to who waits for it. */
export interface Reply {
  readonly to: ReplyAddress;
  readonly about: Command | RefusedMessage;
  /** RFC 3339. */
  readonly time: string;
}

/** `returned`: there is no such queue (any more). Only replies are. */
export type PublishOutcome = "sent" | "returned";

export interface BusStatus {
  readonly status: "up" | "down";
  readonly detail: string;
  readonly latencyMs: number | null;
  readonly advice: string | null;
  /** Commands that wait to be taken, and dead letters; null while it is not known. */
  readonly commands: number | null;
  readonly dead: number | null;
}

export interface RedriveRequest {
  /** Only those that are dead for this reason. */
  readonly reason: string | null;
  /** At most so many are moved. */
  readonly limit: number;
  /** Moves nothing. */
  readonly dryRun: boolean;
}

export interface Redriven {
  /** Moved, or what would be. */
  readonly moved: number;
  readonly left: number;
  /** How many there were of each reason, among those that were looked at. */
  readonly reasons: Readonly<Record<string, number>>;
}
