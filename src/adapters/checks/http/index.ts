import type { IncomingMessage } from "node:http";
import type { CheckOutcome } from "../../../domain/check.ts";
import type { Checker, CheckTarget } from "../../../ports/check.ts";

type HttpTarget = Extract<CheckTarget, { kind: "http" }>;
type Limits = Parameters<Checker["check"]>[1];

const mostRedirects = 5;
const mostBodyBytes = 64 * 1024;
/** The status decides; the rest of the answer is read only so that the server is not cut off in the middle. */
const bodyTimeoutMs = 250;

/**
 * Sends GET and compares the status. Redirects are followed to http and https addresses, at most five, unless their status
 * is itself expected. Every look opens a connection of its own, directly: proxies of the environment are not used.
 *
 * There is no breaker and no second try here: a check is an observation, and "nothing answers" is what it is there to find
 * out. How often it looks, and how many failures count, is the check's own interval and threshold; one look is bounded by its
 * time limit, five redirects and 64 KiB.
 */
export const httpChecker: Checker = {
  kind: "http",
  async check(target, limits) {
    if (target.kind !== "http") throw new TypeError(`not an http target: ${target.kind}`);
    limits.signal.throwIfAborted();
    const deadline = AbortSignal.timeout(limits.timeoutMs);
    const signal = AbortSignal.any([limits.signal, deadline]);
    try {
      return await follow(target, signal);
    } catch (error) {
      limits.signal.throwIfAborted();
      return { healthy: false, detail: deadline.aborted ? late(limits) : reasonOf(error) };
    }
  },
};

async function follow(target: HttpTarget, signal: AbortSignal): Promise<CheckOutcome> {
  let url = target.url;
  for (let hops = 0; hops <= mostRedirects; hops += 1) {
    const parsed = URL.parse(url);
    if (parsed === null || !/^https?:$/u.test(parsed.protocol))
      return { healthy: false, detail: `${shown(url)} is not an http or https address` };
    const { status, location } = await get(parsed, signal);
    const healthy = target.expect.includes(status);
    if (healthy || location === null || status < 300 || status > 399)
      return {
        healthy,
        detail: `HTTP ${status}${healthy ? "" : `, expected ${target.expect.join(" or ")}`}`,
      };
    url = URL.parse(location, parsed.href)?.href ?? location;
  }
  return { healthy: false, detail: `more than ${mostRedirects} redirects` };
}

interface Answer {
  readonly status: number;
  readonly location: string | null;
}

async function get(url: URL, signal: AbortSignal): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  // Importing `node:http` by name loads Node's whole fetch along: the first look does it, not the start of the server.
  const { Agent, request: send } =
    url.protocol === "https:" ? await import("node:https") : await import("node:http");
  // An agent of its own: Node's global ones may be told by the environment to use a proxy.
  const agent = new Agent();
  const headers = { "user-agent": "glasshouse-check", accept: "*/*", connection: "close" };
  const request = send(url, { agent, headers, signal });
  request.once("response", (response) => {
    const answer = {
      status: response.statusCode ?? 0,
      location: response.headers.location ?? null,
    };
    discard(response, () => resolve(answer));
  });
  request.on("error", reject);
  request.end();
  return promise.finally(() => agent.destroy());
}

/** Reads the body away, but not more than a little of it and not for long. */
function discard(response: IncomingMessage, done: () => void): void {
  let bytes = 0;
  const timer = setTimeout(() => response.destroy(), bodyTimeoutMs);
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > mostBodyBytes) response.destroy();
  });
  response.on("error", () => undefined);
  response.once("close", () => {
    clearTimeout(timer);
    done();
  });
}

function late({ timeoutMs }: Limits): string {
  return `no answer within ${timeoutMs} ms`;
}

/** An address may carry a password. */
function shown(url: string): string {
  return JSON.stringify(url.replace(/\/\/[^/@]*@/u, "//…@").slice(0, 200));
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code: unknown = "code" in error ? error.code : undefined;
  if (code === "ECONNREFUSED") return "connection refused";
  if (code === "ENOTFOUND") return "the host name is not known";
  if (code === "ECONNRESET") return "the connection was reset";
  // Several addresses were tried: the first error stands for all.
  if (error instanceof AggregateError) return reasonOf(error.errors[0]);
  return error.message;
}
