import type { ParsedCommand, DataOf } from "../contract/commands.ts";
import type { ReplyAddress } from "../domain/command.ts";
import type { GlasshouseError } from "../domain/errors.ts";
import type { NewEvent } from "../domain/event.ts";
import type { Json } from "../lib/json.ts";
import type { FirstRun } from "../ports/starter.ts";
import type { ReadTx, Tx } from "../ports/store.ts";

/** A command as it comes in, from whichever way. (`source`, `id`) is its idempotency key. */
export interface CommandRequest {
  readonly source: string;
  readonly id: string;
  readonly type: string;
  /** Environment, template or run: name or id. */
  readonly subject: string | null;
  readonly data: unknown;
  /** Recorded as a claim. */
  readonly actor: string;
  /** A template's folder as a tar.gz, for `template.register`, in place of `data.archive`. */
  readonly archive?: Uint8Array;
  readonly correlationId?: string | null;
  readonly traceparent?: string | null;
  /** As the broker vouches for it. */
  readonly sender?: string | null;
  /** Kept with the command, so that whoever sees its run end can answer. */
  readonly reply?: ReplyAddress | null;
  /** The environment's sequence that the sender has read; another one is `precondition-failed`. */
  readonly ifSequence?: number | null;
  /** RFC 3339; a command that comes later is refused. */
  readonly deadline?: string | null;
  /** False for senders that ask again with the same id until it is possible: their refusals are not kept. */
  readonly keepRefusal?: boolean;
  /** True for senders whom a refusal helps nobody: what no worker can serve now is taken in and waits for one. */
  readonly mayWait?: boolean;
}

/** What preparing a command is given. */
export interface Asked<T extends ParsedCommand["type"]> {
  readonly request: CommandRequest;
  readonly data: DataOf<T>;
  /** The command's id, also when it is prepared again. */
  readonly commandId: string;
}

/**
 * What a command does, in the one transaction that accepts it. It may run again, so it has no effects but those on `tx`.
 * Throws a `GlasshouseError` to refuse, or `Moved` when what was prepared no longer holds.
 */
export interface Effect {
  (tx: Tx, now: string): Promise<Effected>;
  /**
   * Whether what was prepared still holds, where the effect makes something new whatever else there is: then it may be done
   * before that is known, and before it is known whether the command is.
   */
  readonly holds?: (tx: ReadTx) => Promise<void>;
  /** Throws a better word for what the store has refused, where the command knows one. Called after the transaction. */
  readonly explain?: (error: GlasshouseError) => Promise<void>;
}

export interface Effected {
  /** `accepted`: a run ends it. `completed`: it is done. */
  readonly status: "accepted" | "completed";
  readonly environmentId?: string | null;
  readonly templateId?: string | null;
  readonly runId?: string | null;
  readonly planId?: string | null;
  /** The run that it queues, where nothing can be before that. It is not written yet. */
  readonly first?: Omit<FirstRun, "traceparent">;
  /** The command's body as it is kept: secrets as references. */
  readonly data: Json;
  /** Changes of status, queue and so on, after the command's own event. */
  readonly events: readonly NewEvent[];
}

/** What was prepared no longer fits what the store holds: prepare again. Never leaves `accept`. */
export class Moved extends Error {}
