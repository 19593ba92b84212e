import type { LeaseCount } from "../../../domain/lease.ts";

const lapseBits = 20n;
const mostLapses = 2 ** Number(lapseBits) - 1;

/**
 * What the thread that renews a lease and the one that asks share: so the answer is right also when the event loop has just
 * been blocked. Both numbers lie in one word, as neither may be read without the other.
 */
export class LeaseCell {
  readonly buffer: SharedArrayBuffer;
  readonly #words: BigInt64Array;

  constructor(buffer = new SharedArrayBuffer(2 * BigInt64Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#words = new BigInt64Array(buffer);
  }

  read(): LeaseCount {
    const word = Atomics.load(this.#words, 0);
    return {
      sentAtMs: Number(word >> lapseBits),
      lapses: Number(word & BigInt(mostLapses)),
    };
  }

  write({ sentAtMs, lapses }: LeaseCount): void {
    // Rounded down: a lease that is thought to end too early does no harm.
    const sentAt = BigInt(Math.floor(sentAtMs)) << lapseBits;
    Atomics.store(this.#words, 0, sentAt | BigInt(lapses % mostLapses));
  }

  get isLost(): boolean {
    return Atomics.load(this.#words, 1) !== 0n;
  }

  lose(): void {
    Atomics.store(this.#words, 1, 1n);
  }
}

/** Milliseconds of the machine's monotonic clock, the same in all threads. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
