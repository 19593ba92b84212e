import type { Socket } from "node:net";

export type Direction = "toServer" | "toClient";

/** How bytes of one direction fare from now on. */
export interface Weather {
  /** Each chunk arrives so much later; the order stays. */
  readonly delayMs: number;
  /** 0: no limit. */
  readonly bytesPerSecond: number;
  /** Nothing arrives until it is over, then all does: what a network that comes back looks like. */
  readonly held: boolean;
  /** What comes is lost for good, while the connection looks alive. */
  readonly eaten: boolean;
}

export const fairWeather: Weather = { delayMs: 0, bytesPerSecond: 0, held: false, eaten: false };

/** Looks at a chunk before it goes on. What it returns goes on in its place. */
export type Look = (chunk: Buffer) => Buffer;

interface Waiting {
  readonly chunk: Buffer;
  readonly dueMs: number;
}

/** More than this is not read ahead of a slow other end. */
const mostWaitingBytes = 1024 * 1024;

/** One direction of one connection: reads from one socket and writes to the other when it is time. */
export class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #weather: () => Weather;
  readonly #look: Look;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #freeAtMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #ended = false;

  constructor(of: {
    readonly from: Socket;
    readonly to: Socket;
    readonly weather: () => Weather;
    readonly look: Look;
  }) {
    this.#from = of.from;
    this.#to = of.to;
    this.#weather = of.weather;
    this.#look = of.look;
    of.from.on("data", (chunk: Buffer) => this.#take(chunk));
    of.from.on("end", () => {
      this.#ended = true;
      this.go();
    });
    of.to.on("drain", () => this.go());
    of.to.on("close", () => this.#forget());
  }

  /** Writes what is due. Called again by itself when more comes due; called from outside when the weather changes. */
  go(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#weather().held) return;
    while (!this.#to.writableNeedDrain) {
      const next = this.#waiting[0];
      if (next === undefined) break;
      const restMs = next.dueMs - performance.now();
      if (restMs > 0) {
        this.#timer = setTimeout(() => this.go(), restMs);
        return;
      }
      this.#waiting.shift();
      this.#waitingBytes -= next.chunk.length;
      if (!this.#to.destroyed) this.#to.write(next.chunk);
    }
    if (this.#waitingBytes <= mostWaitingBytes) this.#from.resume();
    if (this.#ended && this.#waiting.length === 0) this.#to.end();
  }

  #take(chunk: Buffer): void {
    const { delayMs, bytesPerSecond, eaten } = this.#weather();
    const seen = this.#look(chunk);
    if (eaten || seen.length === 0) return;
    const now = performance.now();
    const sendingMs = bytesPerSecond === 0 ? 0 : (seen.length / bytesPerSecond) * 1_000;
    this.#freeAtMs = Math.max(now, this.#freeAtMs) + sendingMs;
    this.#waiting.push({ chunk: seen, dueMs: this.#freeAtMs + delayMs });
    this.#waitingBytes += seen.length;
    if (this.#waitingBytes > mostWaitingBytes) this.#from.pause();
    this.go();
  }

  #forget(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
  }
}
