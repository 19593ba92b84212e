import type { HttpAnswer, HttpConnection, HttpRequest } from "../http/connection.ts";
import type { Remote } from "../resilience/remote.ts";
import { faultOf } from "./faults.ts";
import { SeenIndex } from "./seen-index.ts";

export interface VaultOptions {
  readonly connection: Pick<HttpConnection, "send" | "close">;
  /** All calls; its time limits, retries and breaker hold for them. */
  readonly calls: Remote;
  readonly namespace: string | null;
}

export interface VaultCall {
  readonly method: HttpRequest["method"];
  /** Without `/v1`. */
  readonly path: string;
  /** Null: nobody in particular asks, as a login does. */
  readonly token: string | null;
  /** It is about the server as a whole, and answered in no namespace. */
  readonly global?: true;
  readonly body?: unknown;
  /** Doing it twice is the same as once: then it is tried again when it fails for a while. */
  readonly repeatable: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Statuses from 300 on that are answers and no errors. */
  readonly expected?: readonly number[];
}

/** More than Vault gives or takes by default (32 MiB a request). */
const mostBytes = 64 * 1024 * 1024;

/** What `calls` of a client is opened with, beside its name. */
export const vaultPolicy = {
  deadlineMs: 30_000,
  tryMs: 10_000,
  tries: 3,
  retry: { baseMs: 200, mostMs: 2_000 },
  breaker: { failures: 6, firstMs: 1_000, mostMs: 15_000 },
  places: { calls: 64, waiting: 1_000 },
} as const;

/** The API of Vault, which is that of OpenBao for what is used here: one call with its limits and class of error. */
export class VaultClient {
  readonly #options: VaultOptions;
  readonly #seen = new SeenIndex();

  constructor(options: VaultOptions) {
    this.#options = options;
  }

  /**
   * Errors: `forbidden` (403: denied, or the token is not known any more), `not-found`, `too-large`, `too-many` (429),
   * `invalid-request` (400), `unavailable` (sealed, standby, 5xx, no connection: it may have been carried out), `timeout`.
   */
  async call(call: VaultCall): Promise<HttpAnswer> {
    const { repeatable, signal } = call;
    return this.#options.calls.call((limited) => this.#try(call, limited), {
      repeatable,
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async #try(call: VaultCall, signal: AbortSignal): Promise<HttpAnswer> {
    const { connection, namespace } = this.#options;
    const { method, path, token, body } = call;
    const answer = await connection.send({
      method,
      path: `/v1/${path}`,
      headers: {
        "x-vault-request": "true",
        ...(token === null ? {} : { "x-vault-token": token }),
        ...(namespace === null || call.global === true ? {} : { "x-vault-namespace": namespace }),
        ...(call.global === true ? {} : this.#seen.headers()),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal,
      mostBytes,
    });
    this.#seen.note(answer.headers);
    if (answer.status < 300 || call.expected?.includes(answer.status) === true) return answer;
    throw faultOf(answer, call);
  }

  /** Closes connections that are not in use. */
  async close(): Promise<void> {
    await this.#options.connection.close();
  }
}
