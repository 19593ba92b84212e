import { z } from "zod";
import { GlasshouseError, type ErrorCode } from "../../domain/errors.ts";
import type { HttpAnswer } from "../http/connection.ts";

const faultSchema = z.object({ errors: z.array(z.string()).catch([]) }).catch({ errors: [] });

/** Vault's own words for an answer that is an error, without what could be long. They never hold values. */
export function wordsOf(body: Buffer): string {
  return faultSchema
    .parse(parsed(body.toString("utf8")))
    .errors.join("; ")
    .trim()
    .slice(0, 300);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** An answer that is an error, in the product's words. */
export function faultOf(
  { status, headers, body }: Pick<HttpAnswer, "status" | "headers" | "body">,
  { method, path }: { readonly method: string; readonly path: string },
): GlasshouseError {
  const words = wordsOf(body);
  const seconds = Number(headers["retry-after"]);
  const wait = seconds > 0 && Number.isFinite(seconds) ? { retryAfterMs: seconds * 1_000 } : {};
  const said = `${meaningOf(status)}${words === "" ? "" : `: ${words}`}`;
  return new GlasshouseError(
    codeOf(status),
    `Vault ${said} (${status} at ${method} ${path.slice(0, 200)}).`,
    wait,
  );
}

/** 412: a standby that has not seen our last write yet. 472 and 473: standbys that answer nothing else. */
function codeOf(status: number): ErrorCode {
  if (status === 403) return "forbidden";
  if (status === 404) return "not-found";
  if (status === 413) return "too-large";
  if (status === 429) return "too-many";
  if (status === 412 || status === 472 || status === 473 || status >= 500) return "unavailable";
  // A redirect is how a standby without forwarding answers; it is not followed, as tokens must not go elsewhere.
  return status < 400 ? "unavailable" : "invalid-request";
}

function meaningOf(status: number): string {
  if (status === 403) return "denies this";
  if (status === 404) return "has nothing there";
  if (status === 429) return "is asked too often";
  if (status === 503) return "is sealed or in maintenance";
  if (status === 412 || status === 472 || status === 473 || status < 400)
    return "is a standby that cannot answer this";
  return status >= 500 ? "has an error" : "refuses this";
}
