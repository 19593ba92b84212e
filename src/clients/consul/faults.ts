import { GlasshouseError, type ErrorCode } from "../../domain/errors.ts";
import type { HttpAnswer } from "../http/connection.ts";

/** An answer that is an error, in the product's words. Consul's own words are kept, without what could be long. */
export function faultOf(
  { status, headers, body }: Pick<HttpAnswer, "status" | "headers" | "body">,
  { method, path }: { readonly method: string; readonly path: string },
): GlasshouseError {
  const words = body.toString("utf8").trim().slice(0, 300);
  const seconds = Number(headers["retry-after"]);
  const wait = seconds > 0 && Number.isFinite(seconds) ? { retryAfterMs: seconds * 1_000 } : {};
  const said = `${status}${words === "" ? "" : `: ${words}`}`;
  return new GlasshouseError(
    codeOf(status),
    `Consul answers ${said} (${method} ${path.slice(0, 200)}).`,
    wait,
  );
}

/** Without a leader Consul answers 500; which 5xx it is makes no difference to what can be done. */
function codeOf(status: number): ErrorCode {
  if (status === 403 || status === 401) return "forbidden";
  if (status === 404) return "not-found";
  if (status === 413) return "too-large";
  if (status === 429) return "too-many";
  return status >= 500 ? "unavailable" : "invalid-request";
}

/** Whether the words of a refused operation say that the token may not do it. */
export function saysDenied(words: string): boolean {
  return /permission denied|lacks permission|acl not found/iu.test(words);
}
