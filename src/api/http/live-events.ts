import { GlasshouseError } from "../../domain/errors.ts";
import type { JournalEvent } from "../../domain/event.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Store } from "../../ports/store.ts";
import type { Log, Metrics } from "../../ports/telemetry.ts";
import { eventOf } from "../../contract/event-view.ts";
import type { ApiServices } from "./services.ts";

/** Where a stream writes: the raw answer of Node's server. */
export interface Sink {
  /** False when what was written waits in memory. */
  write(chunk: string): boolean;
  end(chunk?: string): unknown;
  readonly writableLength: number;
  /** True when a `drain` will tell that what waits was taken. */
  readonly writableNeedDrain: boolean;
  readonly destroyed: boolean;
  once(event: "drain" | "close", fn: () => void): unknown;
}

export interface LiveFilter {
  readonly environmentId?: string;
  readonly runId?: string;
  readonly subject?: string;
}

export const liveLimits = {
  clients: 256,
  heartbeatMs: 15_000,
  /** What may wait for a slow client; past it the client is dropped and comes back with its last id. */
  bufferBytes: 1024 * 1024,
  pageSize: 500,
  /** Told to browsers: how long to wait before they connect again. */
  reconnectMs: 2_000,
} as const;

interface Client {
  readonly sink: Sink;
  readonly filter: LiveFilter;
  /** True once it has all that was there when it came: from then on the shared reader writes to it. */
  live: boolean;
  gone: boolean;
}

type LiveDeps = {
  readonly services: Pick<ApiServices, "listEvents" | "journalEdges">;
  readonly store: Pick<Store, "watch">;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
};

/**
 * The journal for clients that stay: one reader for all of them, each event serialised once. It reads only while somebody
 * listens. A client first gets what it missed, page by page at its own speed, then joins the others.
 */
export class LiveEvents {
  readonly #deps: LiveDeps;
  readonly #clients = new Set<Client>();
  /** Everything up to here was handed to those who are live. */
  #position = 0;
  #starting: Promise<void> | null = null;
  #endWatch: (() => void) | null = null;
  #endHeartbeat: (() => void) | null = null;
  #reading = false;
  #again = false;
  #closed = false;

  constructor(deps: LiveDeps) {
    this.#deps = deps;
    deps.metrics.observe("glasshouse_live_clients", () => [{ value: this.clients, labels: {} }]);
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** Refuses when there is no room. Errors: `too-many`, `unavailable` while the server stops. */
  admit(): void {
    if (this.#closed) throw new GlasshouseError("unavailable", "The server is stopping.");
    if (this.#clients.size < liveLimits.clients) return;
    throw new GlasshouseError(
      "too-many",
      `${liveLimits.clients} clients follow the events already; close one or try again later.`,
    );
  }

  /** Serves a client until it goes away. `after`: the last position it has; null for what comes from now on. */
  async follow(sink: Sink, filter: LiveFilter, after: number | null): Promise<void> {
    const client: Client = { sink, filter, live: false, gone: false };
    this.#clients.add(client);
    sink.once("close", () => this.#forget(client));
    sink.write(`retry: ${liveLimits.reconnectMs}\n\n`);
    try {
      await this.#start();
      await this.#catchUp(client, after);
    } catch (error) {
      this.#deps.log.warn("events could not be read for a client", { cause: error });
      this.#drop(client, "the events cannot be read at the moment");
    }
  }

  /** Ends every stream; the clients come back to whichever server is there then. */
  close(): void {
    this.#closed = true;
    for (const client of this.#clients) this.#drop(client, "the server stops");
  }

  /** The first client starts the reader at the journal's head. */
  async #start(): Promise<void> {
    this.#starting ??= this.#begin();
    await this.#starting;
  }

  async #begin(): Promise<void> {
    this.#endWatch = this.#deps.store.watch("journal", () => void this.#read());
    this.#beat();
    const { head } = await this.#deps.services.journalEdges();
    this.#position = head;
  }

  #beat(): void {
    this.#endHeartbeat = this.#deps.clock.after(liveLimits.heartbeatMs, () => {
      for (const client of this.#clients) this.#write(client, ": heartbeat\n\n");
      if (this.#clients.size > 0) this.#beat();
    });
  }

  async #catchUp(client: Client, after: number | null): Promise<void> {
    if (after === null) {
      client.live = true;
      return;
    }
    const { head, oldest } = await this.#deps.services.journalEdges();
    let cursor = Math.min(after, head);
    if (cursor !== after || cursor < oldest - 1) this.#tellGap(client, after, { head, oldest });
    // Between the comparison and the switch nothing else runs, so no event falls between replay and live.
    while (cursor < this.#position && !client.gone) cursor = await this.#replay(client, cursor);
    client.live = true;
  }

  /** One page of what it missed. Gives the position that it now has. */
  async #replay(client: Client, cursor: number): Promise<number> {
    const until = this.#position;
    const { environmentId, runId } = client.filter;
    const events = await this.#deps.services.listEvents(cursor, {
      ...(environmentId === undefined ? {} : { environmentId }),
      ...(runId === undefined ? {} : { runId }),
      limit: liveLimits.pageSize,
    });
    for (const event of events) {
      if (event.position <= until && fits(event, client.filter)) this.#push(client, frame(event));
    }
    await this.#drained(client);
    const last = events.at(-1)?.position ?? until;
    return events.length < liveLimits.pageSize ? until : Math.min(last, until);
  }

  /** Waits until the client has taken what was written. */
  async #drained(client: Client): Promise<void> {
    if (client.gone || !client.sink.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      client.sink.once("drain", resolve);
      client.sink.once("close", resolve);
      if (client.sink.destroyed) resolve();
    });
  }

  #tellGap(
    client: Client,
    after: number,
    edges: { readonly head: number; readonly oldest: number },
  ): void {
    const data = JSON.stringify({ after, ...edges });
    this.#push(client, `event: gap\ndata: ${data}\n\n`);
  }

  /** Hands what is new to all who are live. Calls that come while it reads make it read once more. */
  async #read(): Promise<void> {
    this.#again = true;
    if (this.#reading) return;
    this.#reading = true;
    try {
      await this.#starting;
      while (this.#again && this.#clients.size > 0) {
        this.#again = false;
        await this.#readNew();
      }
    } catch (error) {
      this.#deps.log.warn("new events could not be read", { cause: error });
      for (const client of this.#clients) this.#drop(client, "the events cannot be read");
    } finally {
      this.#reading = false;
    }
  }

  async #readNew(): Promise<void> {
    for (;;) {
      const limit = liveLimits.pageSize;
      const events = await this.#deps.services.listEvents(this.#position, { limit });
      for (const event of events) this.#hand(event);
      if (events.length < limit) return;
    }
  }

  #hand(event: JournalEvent): void {
    this.#position = event.position;
    let text: string | null = null;
    for (const client of this.#clients) {
      if (!client.live || !fits(event, client.filter)) continue;
      text ??= frame(event);
      this.#write(client, text);
    }
  }

  /** Writes to a client that must keep up. */
  #write(client: Client, text: string): void {
    this.#push(client, text);
    if (client.gone || client.sink.writableLength <= liveLimits.bufferBytes) return;
    this.#deps.metrics.count("glasshouse_live_drops_total", {});
    this.#drop(client, "you read too slowly; come back with your last id");
  }

  #push(client: Client, text: string): void {
    if (!client.gone && !client.sink.destroyed) client.sink.write(text);
  }

  #drop(client: Client, why: string): void {
    if (!client.gone && !client.sink.destroyed) client.sink.end(`: ${why}\n\n`);
    this.#forget(client);
  }

  #forget(client: Client): void {
    client.gone = true;
    this.#clients.delete(client);
    if (this.#clients.size > 0) return;
    this.#endWatch?.();
    this.#endHeartbeat?.();
    this.#endWatch = null;
    this.#starting = null;
  }
}

/** One event as the stream writes it. JSON has no line breaks, so one `data:` line holds it. */
export function frame(event: JournalEvent): string {
  const data = JSON.stringify(eventOf(event));
  return `id: ${event.position}\nevent: ${event.type}\ndata: ${data}\n\n`;
}

export function fits(event: JournalEvent, filter: LiveFilter): boolean {
  return (
    (filter.environmentId === undefined || event.environmentId === filter.environmentId) &&
    (filter.runId === undefined || event.runId === filter.runId) &&
    (filter.subject === undefined || event.subject === filter.subject)
  );
}
