import type { HttpAnswer, HttpConnection, HttpRequest } from "../http/connection.ts";
import type { Remote } from "../resilience/remote.ts";
import { faultOf } from "./faults.ts";

export interface ConsulOptions {
  readonly connection: Pick<HttpConnection, "send">;
  /** For calls that wait for a change: they keep none of the others waiting. */
  readonly watching: Pick<HttpConnection, "send">;
  /** All ordinary calls; its time limits, retries and breaker hold for them. */
  readonly calls: Remote;
  /** Calls that wait for a change: their limit in time is longer than any wait. */
  readonly watches: Remote;
  /** Asked at each call, so that it may be replaced while the server runs. Null: the anonymous one. */
  readonly token: () => Promise<string | null>;
  /** Where calls go that name no datacenter; that of the agent when null. */
  readonly datacenter: string | null;
  readonly namespace: string | null;
  readonly partition: string | null;
}

export interface ConsulCall {
  readonly method: HttpRequest["method"];
  /** Without `/v1`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | true | null>>;
  readonly body?: unknown;
  /** Doing it twice is the same as once: then it is tried again when it fails for a while. */
  readonly repeatable: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Statuses from 400 on that are answers and no errors. */
  readonly expected?: readonly number[];
  /** It waits for a change. */
  readonly watches?: boolean;
}

/** More than the keys of the largest group with values of a few kilobytes. */
const mostBytes = 256 * 1024 * 1024;

/** The longest that a call waits for a change; Consul itself adds up to a sixteenth. */
export const longestWaitMs = 60_000;

/** What `calls` and `watches` of a client are opened with, beside names. */
export const consulPolicies = {
  calls: {
    deadlineMs: 30_000,
    tryMs: 10_000,
    tries: 3,
    retry: { baseMs: 200, mostMs: 2_000 },
    breaker: { failures: 6, firstMs: 1_000, mostMs: 15_000 },
    places: { calls: 64, waiting: 1_000 },
  },
  watches: {
    tryMs: longestWaitMs + longestWaitMs / 16 + 10_000,
    tries: 1,
    breaker: { failures: 6, firstMs: 1_000, mostMs: 15_000 },
  },
} as const;

/**
 * Consul's HTTP API as far as it is used here: one call with its time limit, tries and class of error. What is called is in
 * `kv.ts`, `health.ts`, `agent.ts` and `watch.ts`.
 */
export class ConsulClient {
  readonly #options: ConsulOptions;

  constructor(options: ConsulOptions) {
    this.#options = options;
  }

  /**
   * Errors: `forbidden` (403: permission denied, or the token is not known), `not-found`, `too-large` (413), `too-many` (429),
   * `invalid-request` (400), `unavailable` (5xx, no leader, no connection: it may have been carried out), `timeout`.
   */
  async call(call: ConsulCall): Promise<HttpAnswer> {
    const { calls, watches } = this.#options;
    const remote = call.watches === true ? watches : calls;
    const of = {
      repeatable: call.repeatable,
      ...(call.signal === undefined ? {} : { signal: call.signal }),
    };
    return remote.call((signal) => this.#try(call, signal), of);
  }

  async #try(call: ConsulCall, signal: AbortSignal): Promise<HttpAnswer> {
    const { connection, watching, token: readToken } = this.#options;
    const token = await readToken();
    const { method, body } = call;
    const answer = await (call.watches === true ? watching : connection).send({
      method,
      path: `/v1${call.path}${this.#queryOf(call)}`,
      headers: token === null ? {} : { "x-consul-token": token },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal,
      mostBytes,
    });
    if (answer.status < 400 || call.expected?.includes(answer.status) === true) return answer;
    throw faultOf(answer, call);
  }

  #queryOf({ query = {} }: ConsulCall): string {
    const { datacenter: dc, namespace: ns, partition } = this.#options;
    const all = { ns, partition, ...query, dc: query["dc"] ?? dc };
    const parts = Object.entries(all).flatMap(([name, value]) => {
      if (value === null) return [];
      return value === true ? [name] : [`${name}=${encodeURIComponent(value)}`];
    });
    return parts.length === 0 ? "" : `?${parts.join("&")}`;
  }
}
