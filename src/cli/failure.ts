import {
  asGlasshouseError,
  errorTable,
  GlasshouseError,
  isErrorCode,
  type ErrorDetail,
} from "../domain/errors.ts";
import { painter, safe } from "./text.ts";
import type { Terminal } from "./terminal.ts";

/** The command was written wrongly: exit code 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** No server answers. The message says all there is to say. */
export class UnreachableError extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause });
    this.name = "UnreachableError";
  }
}

/** What a server says of a refusal. */
export interface Problem {
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly advice: string;
  readonly errors: readonly ErrorDetail[];
  readonly traceId: string;
}

/** What the server answered in place of success. */
export class ServerError extends Error {
  readonly problem: Problem;
  readonly code: string;
  readonly status: number;
  readonly advice: string;
  readonly details: readonly ErrorDetail[];
  readonly traceId: string;

  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
    this.name = "ServerError";
    this.code = problem.code;
    this.status = problem.status;
    this.advice = problem.advice;
    this.details = problem.errors;
    this.traceId = problem.traceId;
  }
}

/** What people read about an error. */
export interface FailureText {
  readonly message: string;
  readonly code: string | null;
  readonly details: readonly ErrorDetail[];
  readonly advice: string | null;
  readonly traceId: string | null;
  readonly exitCode: number;
}

/** The exit code of a code of the table of errors; for one that is not known here, what the HTTP status says. */
export function exitCodeOf(code: string, status: number): number {
  if (isErrorCode(code)) return errorTable[code].exitCode;
  if (status === 404) return 3;
  if (status === 401 || status === 403) return 4;
  if (status === 409 || status === 412) return 5;
  return status >= 400 && status < 500 ? 2 : 1;
}

export function failureText(error: unknown): FailureText {
  if (error instanceof UsageError) return { ...blank, message: error.message, exitCode: 2 };
  if (error instanceof UnreachableError)
    return { ...blank, message: error.message, exitCode: errorTable.unavailable.exitCode };
  if (error instanceof ServerError)
    return {
      message: error.message,
      code: error.code,
      details: error.details,
      advice: error.advice,
      traceId: error.code === "internal" ? error.traceId : null,
      exitCode: exitCodeOf(error.code, error.status),
    };
  const known = asGlasshouseError(error);
  const foreign = error instanceof Error && !(error instanceof GlasshouseError);
  return {
    message: foreign ? error.message : known.message,
    code: known.code,
    details: known.details,
    advice: known.code === "internal" ? null : known.row.advice,
    traceId: null,
    exitCode: known.row.exitCode,
  };
}

const blank = { code: null, details: [], advice: null, traceId: null } as const;

/** Writes an error for people to stderr and returns its exit code. */
export function reportFailure(terminal: Terminal, error: unknown): number {
  const { message, code, details, advice, traceId, exitCode } = failureText(error);
  const paint = painter(terminal, "err");
  terminal.err(`${paint("red", "error:")} ${safe(message)}${code === null ? "" : ` (${code})`}\n`);
  for (const detail of details)
    if (!message.includes(detail.message)) terminal.err(`  ${safe(detailText(detail))}\n`);
  if (advice !== null) terminal.err(`${paint("dim", `hint: ${safe(advice)}`)}\n`);
  if (traceId !== null) terminal.err(`trace id: ${safe(traceId)}\n`);
  return exitCode;
}

export function detailText({ place, pointer, message }: ErrorDetail): string {
  const where = place ?? pointer;
  return where === undefined || where === "" ? message : `${where}: ${message}`;
}
