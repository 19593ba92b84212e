import type { Json } from "../lib/json.ts";
import type { Failure } from "./errors.ts";

export const commandTypes = [
  "template.register",
  "template.activate",
  "template.deprecate",
  "environment.create",
  "environment.update",
  "environment.destroy",
  "environment.rotate",
  "environment.validate",
  "environment.refresh",
  "environment.action",
  "environment.plan",
  "environment.apply",
  "environment.repair",
  "environment.extend",
  "environment.protect",
  "environment.import",
  "environment.forget",
  "run.cancel",
  "run.retry",
  "run.approve",
] as const;

export type CommandType = (typeof commandTypes)[number];

/** Known to the contract, refused with `not-available` in this version. */
export const laterCommandTypes: readonly CommandType[] = [
  "environment.repair",
  "environment.extend",
  "environment.protect",
  "environment.import",
  "environment.forget",
];

/** A message that asks for something: the inbox row. (`source`, `sourceId`) is the idempotency key. */
export interface Command {
  readonly id: string;
  readonly source: string;
  readonly sourceId: string;
  readonly type: CommandType;
  /** Environment or template, name or id, as it was sent. */
  readonly subject: string | null;
  /** HMAC of the canonical body: the same id with another body is refused. */
  readonly bodyHmac: string;
  /** The body with secrets as references. */
  readonly data: Json;
  readonly status: CommandStatus;
  readonly failure: Failure | null;
  readonly environmentId: string | null;
  readonly templateId: string | null;
  readonly runId: string | null;
  readonly planId: string | null;
  readonly actor: string;
  readonly correlationId: string | null;
  readonly traceparent: string | null;
  /** Who sent it, as the broker vouches for it; null where nothing does. `actor` is only a claim. */
  readonly sender: string | null;
  /** Where the answer goes once its run has ended; null where nobody waits for one. */
  readonly reply: ReplyAddress | null;
  readonly createdAt: string;
  readonly finishedAt: string | null;
}

/** A queue of the message bus, and what makes the answer recognizable there. */
export interface ReplyAddress {
  readonly queue: string;
  readonly correlationId: string | null;
}

/** A message that did not become a command, in the words that it had as far as they could be read. */
export interface RefusedMessage {
  readonly status: "refused";
  readonly source: string | null;
  readonly sourceId: string | null;
  readonly type: string | null;
  readonly subject: string | null;
  readonly failure: Failure;
}

export type CommandStatus =
  | "accepted"
  | "refused"
  | "completed"
  | "failed"
  | "superseded"
  | "cancelled";
