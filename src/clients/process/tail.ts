import { watch } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import type { Mask } from "../../lib/mask.ts";

export interface TailOptions {
  /** Called with each line in order, without its line end; awaited, so a slow reader slows the tail and not the child. */
  readonly onLine: (line: string) => void | Promise<void>;
  /** Settles when nobody writes any more that matters: the child's `exited`. The tail then reads to the end and resolves. */
  readonly ended: Promise<unknown>;
  /** Bytes after which lines are counted and no longer given. A line says so. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Longer lines are given in pieces, at most twice as long as this. In characters, default 64 Ki. */
  readonly maxLineLength?: number;
  /** Hides values in the lines, also across the pieces of a long one. */
  readonly mask?: Pick<Mask, "apply" | "cut">;
}

export interface TailSummary {
  readonly lines: number;
  readonly bytes: number;
  /** Bytes past the limit. */
  readonly droppedBytes: number;
}

/**
 * Follows a file that a child appends to, line by line, until `ended` settles and its end is reached. Woken by the file
 * system and by a slow timer, never polling fast. Past `maxBytes` the file is emptied now and then, so that a child that
 * never stops talking does not fill the disk. Rejects with what `onLine` throws, or when the file cannot be read.
 */
export async function tailFile(path: string, options: TailOptions): Promise<TailSummary> {
  const file = await open(path, "r+");
  const wake = wakeUps(path);
  const lines = new Lines(options);
  const end = { reached: false };
  const stop = (): void => {
    end.reached = true;
    wake.now();
  };
  options.ended.then(stop, stop);
  try {
    const position = { at: 0 };
    for (;;) {
      // Both are taken before reading: what is written meanwhile wakes again, and the last reading begins after the end.
      const next = wake.next();
      const last = end.reached;
      await readOn(file, position, lines);
      if (last) return await lines.finish();
      await next;
    }
  } finally {
    wake.close();
    await file.close();
  }
}

const chunkBytes = 64 * 1024;
const slowTimerMs = 1000;
/** Where nothing tells of changes, the timer is all there is. */
const fallbackTimerMs = 100;
const emptyEveryBytes = 8 * 1024 * 1024;

async function readOn(file: FileHandle, position: { at: number }, lines: Lines): Promise<void> {
  const buffer = Buffer.alloc(chunkBytes);
  // A child that opens /dev/stdout anew empties the file: begin again at its start.
  if ((await file.stat()).size < position.at) position.at = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position.at);
    if (bytesRead === 0) return;
    position.at += bytesRead;
    await lines.take(buffer.subarray(0, bytesRead));
    if (lines.full && position.at >= emptyEveryBytes) {
      await file.truncate(0);
      position.at = 0;
    }
  }
}

/** Bytes in, lines out. */
class Lines {
  readonly #options: TailOptions;
  readonly #maxBytes: number;
  readonly #maxLineLength: number;
  readonly #decoder = new TextDecoder();
  #rest = "";
  #lines = 0;
  #bytes = 0;
  #dropped = 0;

  constructor(options: TailOptions) {
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? 64 * 1024 * 1024;
    this.#maxLineLength = options.maxLineLength ?? 64 * 1024;
  }

  get full(): boolean {
    return this.#dropped > 0;
  }

  async take(chunk: Uint8Array): Promise<void> {
    const room = Math.max(0, this.#maxBytes - this.#bytes);
    const kept = chunk.subarray(0, room);
    this.#bytes += kept.length;
    await this.#add(this.#decoder.decode(kept, { stream: true }));
    if (kept.length === chunk.length) return;
    if (!this.full) await this.#close();
    this.#dropped += chunk.length - kept.length;
  }

  async finish(): Promise<TailSummary> {
    if (this.full) await this.#give(`[glasshouse] ${this.#dropped} bytes of output were left out`);
    else await this.#close();
    return { lines: this.#lines, bytes: this.#bytes, droppedBytes: this.#dropped };
  }

  async #add(text: string): Promise<void> {
    const parts = (this.#rest + text).split("\n");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) await this.#giveLong(part);
    if (this.#rest.length > this.#maxLineLength) this.#rest = await this.#givePieces(this.#rest);
  }

  /** The last line may have no end; at the limit it is cut there. */
  async #close(): Promise<void> {
    const last = this.#rest + this.#decoder.decode();
    this.#rest = "";
    if (last !== "") await this.#giveLong(last);
    if (this.#bytes >= this.#maxBytes && !this.full)
      await this.#give(`[glasshouse] output past ${this.#maxBytes} bytes is left out`);
  }

  async #giveLong(line: string): Promise<void> {
    await this.#give((await this.#givePieces(line)).replace(/\r$/u, ""));
  }

  /** Gives what is too long in pieces, and returns the rest. */
  async #givePieces(text: string): Promise<string> {
    const { mask } = this.#options;
    let rest = text;
    while (rest.length > this.#maxLineLength) {
      const head = rest.slice(0, 2 * this.#maxLineLength);
      const at = mask === undefined ? this.#maxLineLength : mask.cut(head);
      // Only a secret longer than the head allows no cut: then the line is kept together.
      if (at === 0) break;
      await this.#give(rest.slice(0, at));
      rest = rest.slice(at);
    }
    return rest;
  }

  async #give(line: string): Promise<void> {
    this.#lines += 1;
    await this.#options.onLine(this.#options.mask?.apply(line) ?? line);
  }
}

interface WakeUps {
  /** Resolves at the next change after this call, or when the slow timer fires. */
  next(): Promise<void>;
  now(): void;
  close(): void;
}

function wakeUps(path: string): WakeUps {
  let { promise, resolve } = Promise.withResolvers<void>();
  const now = (): void => resolve();
  let timer = setInterval(now, slowTimerMs);
  const watcher = watchOrNull(path, now, () => {
    clearInterval(timer);
    timer = setInterval(now, fallbackTimerMs);
  });
  return {
    next: () => {
      ({ promise, resolve } = Promise.withResolvers<void>());
      return promise;
    },
    now,
    close: () => {
      clearInterval(timer);
      watcher?.close();
    },
  };
}

function watchOrNull(path: string, change: () => void, fail: () => void): { close(): void } | null {
  try {
    return watch(path, change).once("error", fail);
  } catch {
    // Too many watches on this machine, or a file system without them.
    fail();
    return null;
  }
}
