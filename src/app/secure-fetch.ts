import type { IncomingMessage } from "node:http";
import type { Agent } from "node:https";

/** In PEM: whom a client trusts, in place of the authorities that Node knows, and what it shows of itself. */
export interface Trust {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface FetchInit {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

export type Fetch = (url: URL, init: FetchInit) => Promise<Response>;

/**
 * `fetch` with authorities and a client's certificate of one's own, which that of Node does not take. Connections are kept. A redirect
 * is an error. Errors: those of the connection as they are, with their code; the signal's reason when that came first.
 */
export function secureFetch(trust: Trust): Fetch {
  let secure: Promise<Secure> | null = null;
  return async (url, init) => {
    if (url.protocol !== "https:") return fetch(url, { ...plain(init), redirect: "error" });
    secure ??= loaded(trust);
    return send(await secure, url, init);
  };
}

interface Secure {
  readonly agent: Agent;
  readonly request: (typeof import("node:https"))["request"];
}

/** Whoever speaks in clear need not load it: that takes as long as a small request. */
async function loaded(trust: Trust): Promise<Secure> {
  const { Agent: Kept, request } = await import("node:https");
  return { agent: new Kept({ ...trust, keepAlive: true, minVersion: "TLSv1.2" }), request };
}

function plain({ body, ...init }: FetchInit): RequestInit {
  if (body === undefined) return init;
  return { ...init, body: typeof body === "string" ? body : Buffer.from(body) };
}

function send({ agent, request }: Secure, url: URL, { method, headers, body, signal }: FetchInit) {
  return new Promise<Response>((resolve, reject) => {
    const failed = (error: Error): void => reject(signal?.aborted === true ? signal.reason : error);
    if (signal?.aborted === true) return failed(new Error("aborted"));
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const sent = request(
      url,
      {
        agent,
        method: method ?? "GET",
        headers: { ...headers, ...length },
        ...(signal === undefined ? {} : { signal }),
      },
      (incoming) => {
        const { statusCode = 0 } = incoming;
        if (statusCode < 300 || statusCode >= 400 || statusCode === 304)
          return resolve(responseOf(incoming, signal));
        incoming.destroy();
        failed(new Error(`it redirects to ${incoming.headers.location ?? "nowhere"}`));
      },
    );
    sent.on("error", failed);
    sent.end(body);
  });
}

function responseOf(incoming: IncomingMessage, signal: AbortSignal | undefined): Response {
  const status = incoming.statusCode ?? 0;
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers))
    for (const one of Array.isArray(value) ? value : [value ?? ""]) headers.append(name, one);
  const has = { status, statusText: incoming.statusMessage ?? "", headers };
  if (status !== 204 && status !== 304) return new Response(bodyOf(incoming, signal), has);
  incoming.resume();
  return new Response(null, has);
}

function bodyOf(
  incoming: IncomingMessage,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array> {
  const chunks = incoming[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await chunks.next();
        if (done === true) controller.close();
        else controller.enqueue(new Uint8Array(value));
      } catch (error) {
        controller.error(signal?.aborted === true ? signal.reason : error);
      }
    },
    cancel() {
      incoming.destroy();
    },
  });
}
