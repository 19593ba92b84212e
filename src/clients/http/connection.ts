import type { Agent, IncomingHttpHeaders, IncomingMessage, RequestOptions } from "node:http";
import { GlasshouseError } from "../../domain/errors.ts";

export interface HttpConnectionOptions {
  /** `http://host:port` or `https://host:port`; a path in it goes before that of each request. */
  readonly url: string;
  /** For people: what is at the other end. */
  readonly name: string;
  /** PEM texts: authorities that its certificate may be from, and a certificate of our own. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** Connections at once; a request beyond them waits for one. */
  readonly connections: number;
}

export interface HttpRequest {
  readonly method: "GET" | "PUT" | "POST" | "DELETE" | "LIST";
  /** Begins with a slash. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Its limit in time, and the caller's wish. */
  readonly signal: AbortSignal;
  /** An answer that is larger is given up. */
  readonly mostBytes: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * Requests to one server over connections that are kept open. It tries nothing twice and follows no redirects; time limits,
 * retries and breakers are around it (`clients/resilience`). Proxies of the environment are not used.
 */
export class HttpConnection {
  readonly #options: HttpConnectionOptions;
  readonly #url: URL;
  #opened: Promise<Opened> | null = null;

  /** Errors: `invalid-configuration` when the address is none. */
  constructor(options: HttpConnectionOptions) {
    const url = URL.parse(options.url);
    if (url === null || !/^https?:$/u.test(url.protocol))
      throw new GlasshouseError(
        "invalid-configuration",
        `The address of ${options.name} must be http://host:port or https://host:port.`,
      );
    this.#options = options;
    this.#url = url;
  }

  /**
   * Sends a request and reads the whole answer, whatever its status. Errors: `unavailable` when there was no whole answer (it
   * may have been carried out all the same), `too-large` beyond `mostBytes`, the reason of the signal.
   */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    request.signal.throwIfAborted();
    const { open, agent } = await this.#open();
    const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
    const { method, path, body, signal } = request;
    const fail = (error: Error): void =>
      reject(signal.aborted ? signal.reason : this.#translate(error));
    const sent = open(
      {
        agent,
        method,
        signal,
        hostname: this.#url.hostname.replace(/^\[|\]$/gu, ""),
        port: this.#url.port,
        path: `${this.#url.pathname.replace(/\/$/u, "")}${path}`,
        headers: {
          ...request.headers,
          ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }),
        },
      },
      (answer) => void read(answer, request.mostBytes).then(resolve, fail),
    );
    sent.on("error", fail);
    sent.end(body);
    return promise;
  }

  /** Closes connections that are not in use. */
  async close(): Promise<void> {
    (await this.#opened)?.agent.destroy();
  }

  /** Node's client is loaded by the first request: a server that calls nothing does not pay for it. */
  #open(): Promise<Opened> {
    this.#opened ??= openClient(this.#url.protocol === "https:", this.#options);
    return this.#opened;
  }

  #translate(error: Error): GlasshouseError {
    if (error instanceof GlasshouseError) return error;
    const { name } = this.#options;
    const message = `${name} at ${this.#url.host} cannot be reached: ${reasonOf(error)}.`;
    return new GlasshouseError("unavailable", message, { cause: error });
  }
}

interface Opened {
  readonly agent: Agent;
  readonly open: (
    options: RequestOptions,
    answered: (answer: IncomingMessage) => void,
  ) => NodeJS.EventEmitter & { end(body?: string): unknown };
}

async function openClient(
  secure: boolean,
  { tls, connections }: HttpConnectionOptions,
): Promise<Opened> {
  const kept = { keepAlive: true, maxSockets: connections };
  if (secure) {
    const https = await import("node:https");
    return { agent: new https.Agent({ ...kept, ...tls }), open: https.request };
  }
  const http = await import("node:http");
  return { agent: new http.Agent(kept), open: http.request };
}

/** By events: a loop over the stream costs as much again as what it reads. */
async function read(answer: IncomingMessage, mostBytes: number): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  answer.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > mostBytes)
      answer.destroy(
        new GlasshouseError("too-large", `An answer is larger than ${mostBytes} bytes.`),
      );
    else chunks.push(chunk);
  });
  // One that was cut off ends with an error.
  answer.once("error", reject);
  answer.once("end", () => {
    const { statusCode = 0, headers } = answer;
    resolve({ status: statusCode, headers, body: Buffer.concat(chunks) });
  });
  return promise;
}

function reasonOf(error: Error): string {
  const code: unknown = "code" in error ? error.code : undefined;
  if (code === "ECONNREFUSED") return "connection refused";
  if (code === "ENOTFOUND") return "the host name is not known";
  if (code === "ECONNRESET") return "the connection was reset";
  // Several addresses were tried: the first error stands for all.
  const [first]: readonly unknown[] = error instanceof AggregateError ? error.errors : [];
  return first instanceof Error ? reasonOf(first) : error.message;
}
