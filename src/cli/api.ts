import { randomUUID } from "node:crypto";
import { z } from "zod";
import { pathOf } from "../contract/rest.ts";
import type { Route } from "../contract/rest-route.ts";
import { problemView } from "../contract/problem.ts";
import { trustProblem } from "../app/client-trust.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { secureFetch, type Fetch, type FetchInit, type Trust } from "../app/secure-fetch.ts";
import { Patience, patienceLimits, type NotNow, type PatienceLimits } from "./patience.ts";
import { ServerError, UnreachableError, UsageError } from "./failure.ts";

export interface ApiOptions {
  readonly server: string;
  readonly token: string | undefined;
  /** Whom to trust where the server speaks TLS; those that Node knows when left out. */
  readonly trust?: Trust;
  /** Tells people that a request is sent again. */
  readonly say: (line: string) => void;
  readonly patience?: PatienceLimits;
}

export interface ApiRequest {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  /** Goes up as it is, in place of `body`. */
  readonly archive?: Uint8Array;
  readonly accept?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Not sent again, whatever is in the way: the caller wants to know, or does that itself. */
  readonly once?: true;
}

type Answering<Status extends number, S extends z.ZodType> = Route & {
  readonly replies: Readonly<Record<Status, { readonly schema: S }>>;
};

const timeoutMs = 60_000;

/**
 * The REST API as functions. What reads, and commands, which carry an id of their own, are sent again for a while when no server
 * answers or one says "not now". Errors: `ServerError` for what the server refuses, `UnreachableError` when none answers.
 */
export class Api {
  readonly #server: string;
  readonly #token: string | undefined;
  readonly #patience: Patience;
  readonly #fetch: Fetch;

  constructor({ server, token, say, patience, trust }: ApiOptions) {
    const url = URL.parse(server);
    if (url === null || !/^https?:$/u.test(url.protocol))
      throw new UsageError(`"${server}" is no address of a server, such as http://127.0.0.1:8080.`);
    this.#server = url.href.replace(/\/+$/u, "");
    this.#token = token;
    this.#fetch = secureFetch(trust ?? {});
    this.#patience = new Patience(patience ?? patienceLimits, say);
  }

  get server(): string {
    return this.#server;
  }

  /** What is answered with 200: reads, and what is done at once. */
  async get<S extends z.ZodType>(
    route: Answering<200, S>,
    request: ApiRequest = {},
  ): Promise<z.output<S>> {
    const text = await this.#answer(route, request, (response) => response.text());
    return this.#parse(route.replies[200].schema, jsonOrNull(text));
  }

  /** Asks for a change; the answer is the command. */
  async ask<S extends z.ZodType>(
    route: Answering<202, S>,
    request: ApiRequest,
  ): Promise<z.output<S>> {
    const headers = { "idempotency-key": randomUUID(), ...request.headers };
    const text = await this.#answer(route, { ...request, headers }, (response) => response.text());
    return this.#parse(route.replies[202].schema, jsonOrNull(text));
  }

  /** All items of a list, at most so many. */
  async all<S extends z.ZodType<ListPage>>(
    route: Answering<200, S>,
    { limit, ...request }: ApiRequest & { readonly limit: number },
  ): Promise<{ readonly items: z.output<S>["items"][number][]; readonly more: boolean }> {
    const items: z.output<S>["items"][number][] = [];
    let cursor: string | null = null;
    do {
      const page: z.output<S> = await this.get(route, {
        ...request,
        query: {
          ...request.query,
          limit: Math.min(500, limit - items.length),
          ...(cursor === null ? {} : { cursor }),
        },
      });
      items.push(...page.items);
      cursor = page.next;
    } while (cursor !== null && items.length < limit);
    return { items, more: cursor !== null };
  }

  /** Sends and returns the answer when it is one that the route has. */
  async send(route: Route, request: ApiRequest): Promise<Response> {
    return this.#answer(route, request, async (response) => response);
  }

  async #answer<T>(route: Route, request: ApiRequest, read: Read<T>): Promise<T> {
    const mayRepeat = route.method === "GET" || request.headers?.["idempotency-key"] !== undefined;
    const once = request.once === true || !mayRepeat;
    return this.#patience.answer(() => this.#try(route, request, read), {
      once,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    });
  }

  /** One try. Errors that another try may not have are returned, the others thrown. */
  async #try<T>(route: Route, request: ApiRequest, read: Read<T>): Promise<T | NotNow> {
    const url = new URL(this.#server + pathOf(route, request.params ?? {}));
    for (const [name, value] of Object.entries(request.query ?? {}))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const init = {
      method: route.method,
      headers: this.#headers(request),
      ...bodyOf(request),
      signal: request.signal ?? AbortSignal.timeout(timeoutMs),
    };
    let response: Response;
    try {
      response = await this.#fetch(url, init);
      if (response.ok || Object.hasOwn(route.replies, response.status)) return await read(response);
    } catch (cause) {
      return this.#unreachable(cause, init.signal);
    }
    const problem = await this.#problem(response);
    const afterMs = retryAfterMs(response);
    if (response.status !== 503 || afterMs === null) throw problem;
    return { error: problem, why: problem.message, afterMs };
  }

  #unreachable(cause: unknown, signal: AbortSignal): NotNow {
    if (signal.aborted && !isTimeout(cause)) throw cause;
    const url = new URL(this.#server);
    const problem = trustProblem(cause, url);
    if (problem !== null) throw new UnreachableError(`${capital(problem)}.`, cause);
    const reason = `${reasonOf(cause)}${isMute(cause, url) ? ": if it speaks TLS, its address begins with https://" : ""}`;
    const error = new UnreachableError(
      `No Glasshouse server answers at ${this.#server} (${reason}). Start one with \`glasshouse server\`, or name another with --server or GLASSHOUSE_SERVER.`,
      cause,
    );
    if (!isBroken(cause)) throw error;
    return { error, why: `No answer from ${this.#server} (${reason})`, afterMs: null };
  }

  #headers({ accept, headers, archive, body }: ApiRequest): Record<string, string> {
    return {
      accept: accept ?? "application/json",
      ...(archive === undefined ? {} : { "content-type": "application/gzip" }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
      ...headers,
    };
  }

  #parse<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    throw new GlasshouseError(
      "internal",
      `${this.#server} answers in a form that is not known here: is it a Glasshouse of another version? (${z.prettifyError(parsed.error).split("\n")[0]})`,
    );
  }

  async #problem(response: Response): Promise<Error> {
    const text = await response.text().catch(() => "");
    const parsed = problemView.safeParse(jsonOrNull(text));
    if (parsed.success)
      return new ServerError({
        ...parsed.data,
        errors: parsed.data.errors?.map(plainDetail) ?? [],
      });
    return new GlasshouseError(
      response.status === 404 ? "not-found" : "unavailable",
      `${this.#server} answers ${response.status} ${response.statusText}, and not as Glasshouse does. Does another program listen there?`,
    );
  }
}

type Read<T> = (response: Response) => Promise<T>;

interface ListPage {
  readonly items: unknown[];
  readonly next: string | null;
}

function bodyOf({ body, archive }: ApiRequest): Pick<FetchInit, "body"> {
  if (archive !== undefined) return { body: archive };
  if (body !== undefined) return { body: JSON.stringify(body) };
  return {};
}

function plainDetail(detail: {
  readonly message: string;
  readonly pointer?: string | undefined;
  readonly place?: string | undefined;
}): { readonly message: string; readonly pointer?: string; readonly place?: string } {
  return {
    message: detail.message,
    ...(detail.pointer === undefined ? {} : { pointer: detail.pointer }),
    ...(detail.place === undefined ? {} : { place: detail.place }),
  };
}

function jsonOrNull(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return null;
  }
}

/** What a server says that stops, starts, or waits for something. Null when it does not say when to come back. */
function retryAfterMs({ headers }: Response): number | null {
  const seconds = headers.get("retry-after");
  return seconds !== null && /^\d{1,6}$/u.test(seconds) ? Number(seconds) * 1_000 : null;
}

/** The connection was refused or broke: a server may be there in a moment. An unknown name or a foreign certificate stays so. */
function isBroken(error: unknown): boolean {
  return brokenCodes.includes(codeOf(error));
}

function codeOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code: unknown = inner instanceof Error && "code" in inner ? inner.code : undefined;
  return typeof code === "string" ? code : "";
}

const brokenCodes: readonly string[] = [
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "UND_ERR_SOCKET",
  "UND_ERR_CONNECT_TIMEOUT",
];

/** It took the connection and closed it without a word, as what speaks TLS does to HTTP in clear. */
function isMute(error: unknown, { protocol }: URL): boolean {
  return protocol === "http:" && ["UND_ERR_SOCKET", "ECONNRESET"].includes(codeOf(error));
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === "TimeoutError";
}

function reasonOf(error: unknown): string {
  if (isTimeout(error)) return "no answer within 60 s";
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(inner instanceof Error)) return String(inner);
  const code: unknown = "code" in inner ? inner.code : undefined;
  if (code === "ECONNREFUSED") return "connection refused";
  if (code === "ENOTFOUND") return "the host name is not known";
  return typeof code === "string" ? code : inner.message;
}
