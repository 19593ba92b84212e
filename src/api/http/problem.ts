import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import {
  asGlasshouseError,
  errorTable,
  GlasshouseError,
  type ErrorCode,
} from "../../domain/errors.ts";
import { problemOf } from "../../contract/problem.ts";
import { mediaTypes } from "../../contract/rest-route.ts";
import type { Log } from "../../ports/telemetry.ts";
import { traceOf } from "./trace.ts";

/** Answers with the problem that an error stands for. Faults of the service are logged here, once, with their cause. */
export function sendProblem(
  log: Log,
  error: unknown,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
): FastifyReply {
  const known = translate(error);
  const { status, kind } = errorTable[known.code];
  const trace = traceOf(request);
  if (known.code === "internal") {
    log.error("a request failed", { path: request.url, traceId: trace.id, cause: error });
  }
  if (kind === "transient") void reply.header("retry-after", retryAfterSeconds(known));
  const problem = problemOf(known.code, {
    message: known.message,
    details: known.details,
    traceId: trace.id,
    instance: request.url.slice(0, 500).replace(/\?.*$/u, ""),
  });
  return reply
    .code(status)
    .removeHeader("etag")
    .type(mediaTypes.problem)
    .send(JSON.stringify(problem));
}

/** Unless the error knows better: soon enough for people, seldom enough for a service that is down. */
function retryAfterSeconds({ retryAfterMs }: GlasshouseError): number {
  return retryAfterMs === null ? 5 : Math.max(1, Math.ceil(retryAfterMs / 1000));
}

const foreignError = z.object({ code: z.string(), statusCode: z.number().optional() });

const codeByForeign: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [
    "too-large",
    "The body is too large: 1 MiB is the limit, 16 MiB for archives.",
  ],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    "unsupported-media-type",
    "The content type is not taken: send application/json or application/cloudevents+json.",
  ],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    "invalid-request",
    "The body is not as long as Content-Length says.",
  ],
  FST_ERR_MAX_PARAM_LENGTH: [
    "not-found",
    "A part of the path is longer than any id or name; lists show what exists.",
  ],
  FST_ERR_BAD_URL: [
    "invalid-request",
    "The path is not a valid URL; escape it with percent signs.",
  ],
};

/** Errors of the HTTP library become ours; everything else that is not ours is a fault. */
function translate(error: unknown): GlasshouseError {
  if (error instanceof GlasshouseError) return error;
  const foreign = foreignError.safeParse(error);
  const known = foreign.success ? codeByForeign[foreign.data.code] : undefined;
  if (known !== undefined) return new GlasshouseError(known[0], known[1], { cause: error });
  if (foreign.success && foreign.data.statusCode === 400) {
    return new GlasshouseError("invalid-request", "The request cannot be read.", { cause: error });
  }
  return asGlasshouseError(error);
}
