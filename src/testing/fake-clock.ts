import { formatId } from "../domain/id.ts";
import type { IdKind } from "../domain/id.ts";
import type { Clock } from "../ports/clock.ts";

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly fn: () => void;
}

/** A clock that stands still until a test moves it. Ids rise and are the same in every run. */
export class FakeClock implements Clock {
  #wallMs: number;
  #monotonicMs = 0;
  #ids = 0;
  #order = 0;
  readonly #timers = new Set<Timer>();

  constructor(startMs = Date.UTC(2026, 0, 1)) {
    this.#wallMs = startMs;
  }

  now(): number {
    return this.#wallMs;
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  id(kind: IdKind): string {
    this.#ids += 1;
    const bytes = new Uint8Array(10);
    new DataView(bytes.buffer).setUint32(6, this.#ids);
    return formatId(kind, this.#wallMs, bytes);
  }

  after(delayMs: number, fn: () => void): () => void {
    this.#order += 1;
    const timer = { atMs: this.#monotonicMs + delayMs, order: this.#order, fn };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** Timers that have not gone off yet. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets time pass and calls what is due on the way, in order, each at its own time. */
  advance(byMs: number): void {
    const endMs = this.#monotonicMs + byMs;
    for (let due = this.#nextUntil(endMs); due !== undefined; due = this.#nextUntil(endMs)) {
      this.#timers.delete(due);
      this.#moveTo(Math.max(due.atMs, this.#monotonicMs));
      due.fn();
    }
    this.#moveTo(endMs);
  }

  /** The wall clock jumps, as when it is set; timers do not notice. */
  jump(byMs: number): void {
    this.#wallMs += byMs;
  }

  #moveTo(atMs: number): void {
    this.#wallMs += atMs - this.#monotonicMs;
    this.#monotonicMs = atMs;
  }

  #nextUntil(endMs: number): Timer | undefined {
    return [...this.#timers]
      .filter((timer) => timer.atMs <= endMs)
      .sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0];
  }
}
