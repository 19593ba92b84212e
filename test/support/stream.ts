import { secureFetch, type Fetch, type Trust } from "../../src/app/secure-fetch.ts";

/** What a client of the live events has seen, over all its connections. */
export interface Streamed {
  /** Positions in the order in which they came. */
  readonly positions: readonly number[];
  /** How each connection but the last ended: `true` when the server ended it in order. */
  readonly ends: readonly boolean[];
}

/**
 * Follows the journal at the first address, and goes on at the next one with `Last-Event-ID` whenever a connection ends, until
 * the signal. As an EventSource would, but it never waits.
 */
export class EventStream {
  readonly #positions: number[] = [];
  readonly #ends: boolean[] = [];
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  readonly #fetch: Fetch;

  constructor(addresses: readonly string[], after: number, trust: Trust = {}) {
    this.#fetch = secureFetch(trust);
    this.#done = this.#follow(addresses, after);
  }

  get seen(): Streamed {
    return { positions: this.#positions, ends: this.#ends };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #follow(addresses: readonly string[], after: number): Promise<void> {
    for (let at = 0; ; at += 1) {
      const address = addresses[at % addresses.length] ?? "";
      const last = this.#positions.at(-1) ?? after;
      const ended = await this.#connect(address, last).catch(() => false);
      if (this.#stop.signal.aborted) return;
      this.#ends.push(ended);
    }
  }

  async #connect(address: string, last: number): Promise<boolean> {
    const response = await this.#fetch(new URL(`${address}/api/v1/events`), {
      headers: { accept: "text/event-stream", "last-event-id": String(last) },
      signal: this.#stop.signal,
    });
    if (response.status !== 200 || response.body === null) return false;
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      text += decoder.decode(chunk, { stream: true });
      const frames = text.split("\n\n");
      text = frames.pop() ?? "";
      for (const frame of frames) {
        const id = /^id: (\d+)$/mu.exec(frame)?.[1];
        if (id !== undefined) this.#positions.push(Number(id));
      }
    }
    return true;
  }
}
