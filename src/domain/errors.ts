/**
 * Every error the product can answer with. Problem replies, bus refusals, exit codes and docs/errors.md come from this
 * table; a test keeps them equal. `kind` decides retries: a transient error may pass when the same thing is tried again,
 * a terminal one will not.
 */
export const errorTable = {
  "invalid-request": row(
    [400, 2, "terminal"],
    "The request does not fit its schema",
    "Mend the members that `errors` names and send it again.",
  ),
  "invalid-template": row(
    [400, 2, "terminal"],
    "The template has mistakes",
    "Mend what `errors` names by file, line and column; `glasshouse template lint` shows the same list.",
  ),
  "invalid-parameters": row(
    [400, 2, "terminal"],
    "The parameters do not fit the template",
    "`glasshouse template show` lists the parameters and their rules.",
  ),
  "invalid-configuration": row(
    [400, 2, "terminal"],
    "The configuration has mistakes",
    "`glasshouse config show` prints every value and where it came from.",
  ),
  "unsafe-path": row(
    [400, 2, "terminal"],
    "A path leaves the template's folder",
    "Use a relative path to a file inside the template's folder.",
  ),
  "unsafe-source": row(
    [400, 2, "terminal"],
    "The template's source is not allowed",
    "Use an https repository, or a file repository while the server listens on loopback.",
  ),
  unauthenticated: row(
    [401, 4, "terminal"],
    "Who is asking is not known",
    "Show a certificate that the server trusts (`tls.clientCa`).",
  ),
  forbidden: row(
    [403, 4, "terminal"],
    "This is not allowed",
    "Ask for the role that the message names.",
  ),
  "not-found": row(
    [404, 3, "terminal"],
    "There is no such thing",
    "Check the id or the name; lists show what exists.",
  ),
  "method-not-allowed": row(
    [405, 2, "terminal"],
    "This path does not take that method",
    "The `Allow` header names those it takes.",
  ),
  conflict: row(
    [409, 5, "terminal"],
    "The present state does not allow this",
    "Look at the state that the message names, then decide again.",
  ),
  "already-exists": row(
    [409, 5, "terminal"],
    "The name is taken",
    "Choose another name, or use what exists.",
  ),
  "command-reused": row(
    [409, 5, "terminal"],
    "The same command id came with another body",
    "Use a new id for a new command.",
  ),
  "in-use": row(
    [409, 5, "terminal"],
    "Something living depends on it",
    "Destroy or change what the message lists first.",
  ),
  "no-worker": row(
    [409, 5, "terminal"],
    "No worker offers what this runs on",
    "Start a worker with the labels that the message names (`engine.labels`), then send the same again.",
  ),
  "requirement-cycle": row(
    [409, 5, "terminal"],
    "Environments would require each other in a circle",
    "Remove one of the requirements that the message lists.",
  ),
  "plan-stale": row(
    [409, 5, "terminal"],
    "The plan was made for a state that has moved",
    "Make a new plan; the message names what moved.",
  ),
  "plan-expired": row([409, 5, "terminal"], "The plan is too old", "Make a new plan."),
  "precondition-failed": row(
    [412, 5, "terminal"],
    "The thing has changed since you read it",
    "Read it again and repeat with the new ETag.",
  ),
  "not-served": row(
    [421, 1, "terminal"],
    "This process does not serve that",
    "Ask a server with the role `api`; `/api/v1/info` names the roles of each.",
  ),
  "too-large": row(
    [413, 2, "terminal"],
    "It is larger than the limit",
    "The message names the limit.",
  ),
  "unsupported-media-type": row(
    [415, 2, "terminal"],
    "This content type is not taken",
    "Send application/json or application/cloudevents+json.",
  ),
  "too-many": row(
    [429, 1, "transient"],
    "A limit on how many at once is reached",
    "Try again after `Retry-After` seconds.",
  ),
  "not-available": row(
    [501, 1, "terminal"],
    "This is not available in this version",
    "The changelog says which version brings it.",
  ),
  unavailable: row(
    [503, 1, "transient"],
    "Something the service needs is down",
    "Nothing is lost; try again after `Retry-After` seconds. `glasshouse doctor` names what is down.",
  ),
  "storage-full": row(
    [503, 1, "transient"],
    "The disk is full",
    "Make room; reads go on, and waiting work resumes by itself.",
  ),
  timeout: row(
    [504, 124, "transient"],
    "It took longer than its limit",
    "Try again, or raise the limit that the message names.",
  ),
  "step-failed": row(
    [500, 1, "terminal"],
    "A step failed",
    "`glasshouse run logs` shows its output; `glasshouse run retry` goes on from there.",
  ),
  unhealthy: row(
    [500, 1, "terminal"],
    "A check of what is deployed fails",
    "The message names the check and what it said last; the environment is `deployed-ok` again by itself when it passes.",
  ),
  "step-interrupted": row(
    [503, 1, "transient"],
    "A step was interrupted and may be tried again",
    "It is tried again by the step's retry policy.",
  ),
  "credentials-ended": row(
    [503, 1, "transient"],
    "Credentials that a step was lent ended before it did",
    "It is tried again with new ones. Look at who revoked them, and let leases live longer than steps take.",
  ),
  "provider-failed": row(
    [502, 1, "transient"],
    "A provider failed for a reason it does not class",
    "It is tried again by the step's retry policy; the message has the provider's own words.",
  ),
  "output-missing": row(
    [500, 1, "terminal"],
    "A declared output was not delivered",
    "Deliver it, or take it out of the group's `outputs`.",
  ),
  "state-missing": row(
    [500, 1, "terminal"],
    "The record of what was made is missing",
    "Nothing is destroyed without it. Restore it from a backup, or import what exists.",
  ),
  "outcome-unknown": row(
    [500, 1, "terminal"],
    "Whether the step took effect is not known",
    "Look at the real world, then `glasshouse run retry` or `run cancel`.",
  ),
  "suspected-leak": row(
    [500, 1, "terminal"],
    "Something may exist that no record knows",
    "Look for it, then `glasshouse run retry --accept-leak ADDRESS`.",
  ),
  "stale-token": row(
    [409, 5, "terminal"],
    "Another worker owns this step now",
    "Nothing to do: the newer owner goes on.",
  ),
  cancelled: row(
    [409, 130, "terminal"],
    "It was cancelled",
    "Send the command again if it is still wanted.",
  ),
  superseded: row(
    [409, 5, "terminal"],
    "A later command took its place",
    "Nothing to do: the later command goes on.",
  ),
  internal: row(
    [500, 1, "terminal"],
    "A fault of the service",
    "Report it with the trace id; the log has the cause.",
  ),
} as const satisfies Record<string, ErrorRow>;

export interface ErrorRow {
  /** HTTP status of the problem reply. */
  readonly status: number;
  /** Exit code of the command line. */
  readonly exitCode: number;
  readonly kind: "terminal" | "transient";
  readonly title: string;
  /** What the reader can do about it. */
  readonly advice: string;
}

export type ErrorCode = keyof typeof errorTable;

/** One mistake among several: where it is, what is wrong and what would be right. */
export interface ErrorDetail {
  readonly message: string;
  /** JSON pointer into the request's body. */
  readonly pointer?: string;
  /** `file:line:column` of a template or configuration. */
  readonly place?: string;
}

interface ErrorMore {
  readonly details?: readonly ErrorDetail[];
  readonly cause?: unknown;
  readonly retryAfterMs?: number;
}

/** The one error type of the product. `cause` keeps a foreign error; it is logged, never shown. */
export class GlasshouseError extends Error {
  readonly code: ErrorCode;
  readonly details: readonly ErrorDetail[];
  /** When trying again may help, if that is known better than the default of the answer. */
  readonly retryAfterMs: number | null;

  constructor(code: ErrorCode, message: string, more: ErrorMore = {}) {
    super(message, more.cause === undefined ? {} : { cause: more.cause });
    this.name = "GlasshouseError";
    this.code = code;
    this.details = more.details ?? [];
    this.retryAfterMs = more.retryAfterMs ?? null;
  }

  get row(): ErrorRow {
    return errorTable[this.code];
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable, text);
}

/**
 * The store itself says that it cannot be used now, for whatever reason: everybody's affair, and none of the one who asked. What
 * was asked may be asked again once it can.
 */
export class StoreFault extends GlasshouseError {}

/** Whether the same may go well later: a fault of the store passes whatever its code is, as it is none of what was tried. */
export function mayPass(error: unknown): error is GlasshouseError {
  if (error instanceof StoreFault) return true;
  return error instanceof GlasshouseError && error.row.kind === "transient";
}

/** A foreign error becomes `internal`, with the original as its cause. */
export function asGlasshouseError(error: unknown): GlasshouseError {
  if (error instanceof GlasshouseError) return error;
  return new GlasshouseError("internal", "An unexpected fault; the log has its cause.", {
    cause: error,
  });
}

/** The plain form of an error that rows, events and answers carry. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: readonly ErrorDetail[];
}

export function failureOf(error: unknown): Failure {
  const known = asGlasshouseError(error);
  return {
    code: known.code,
    message: known.message,
    ...(known.details.length > 0 ? { details: known.details } : {}),
  };
}

function row(
  [status, exitCode, kind]: readonly [number, number, ErrorRow["kind"]],
  title: string,
  advice: string,
): ErrorRow {
  return { status, exitCode, kind, title, advice };
}
