import { routeOf, type EventView } from "../contract/rest.ts";
import { eventView } from "../contract/rest-event.ts";
import type { Api } from "./api.ts";
import { isAborted, pause } from "./pause.ts";

export interface LiveOptions {
  /** Only this run's, or this environment's. */
  readonly run?: string;
  readonly environment?: string;
  /** Events after this position. */
  readonly after: number;
  readonly signal: AbortSignal;
  /** Called when the connection is lost or made again. */
  readonly onConnection?: (connected: boolean) => void;
}

const longestWaitMs = 5_000;
const attempts = 20;

/**
 * The journal as it grows. A lost connection is made again from the last position, so nothing is missed; it ends with the
 * signal, and throws what keeps the server from answering.
 */
export async function* liveEvents(api: Api, options: LiveOptions): AsyncGenerator<EventView> {
  let after = options.after;
  let failures = 0;
  while (!isAborted(options.signal)) {
    try {
      for await (const event of oneConnection(api, { ...options, after })) {
        if (event === "open") {
          failures = 0;
          options.onConnection?.(true);
          continue;
        }
        after = event.position;
        yield event;
      }
    } catch (error) {
      failures += 1;
      if (failures > attempts && !isAborted(options.signal)) throw error;
    }
    options.onConnection?.(false);
    await pause(Math.min(longestWaitMs, 100 * 2 ** failures), options.signal);
  }
}

async function* oneConnection(api: Api, options: LiveOptions): AsyncGenerator<EventView | "open"> {
  const { environment, run, after, signal } = options;
  const route = routeOf(environment === undefined ? "listEvents" : "listEnvironmentEvents");
  const response = await api.send(route, {
    ...(environment === undefined ? {} : { params: { environment } }),
    query: { run, after },
    accept: "text/event-stream",
    signal,
    // The caller connects again by itself.
    once: true,
  });
  if (response.body === null) return;
  yield "open";
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true });
    const blocks = text.split(/\r?\n\r?\n/u);
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = eventOf(block);
      if (event !== null) yield event;
    }
  }
}

/** The event of one block of the stream; null for comments, heartbeats and what is not known here. */
export function eventOf(block: string): EventView | null {
  const data = block
    .split(/\r?\n/u)
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice(5).replace(/^ /u, ""))
    .join("\n");
  if (data === "") return null;
  try {
    const parsed = eventView.safeParse(JSON.parse(data));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
