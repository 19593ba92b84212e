import { closeSync, fstatSync, ftruncateSync, openSync, readSync, watch } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
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
 * system and by a slow timer, never polling fast; while output flows it is read forty times a second and not at each
 * write: a program that says a hundred lines has better use for the processor. Past `maxBytes` the file is emptied now and
 * then, so that a child that never stops talking does not fill the disk. Rejects with what `onLine` throws, or when the
 * file cannot be read.
 */
export async function tailFile(path: string, options: TailOptions): Promise<TailSummary> {
  const lines = new Lines(options);
  const file: Followed = { fd: openSync(path, "r+"), at: 0, buffer: Buffer.alloc(chunkBytes) };
  const wake = new Wake(path, options.ended);
  try {
    for (;;) {
      // Taken before reading, so that the last reading begins after the end.
      const last = wake.hasEnded;
      const found = await readOn(file, lines);
      if (last) return await lines.finish();
      if (found) await wake.pause();
      else await wake.whenChanged(() => fstatSync(file.fd).size !== file.at);
    }
  } finally {
    wake.close();
    closeSync(file.fd);
  }
}

interface Followed {
  readonly fd: number;
  readonly buffer: Buffer;
  /** How far it has been read. */
  at: number;
}

const chunkBytes = 64 * 1024;
const pauseMs = 25;
const slowTimerMs = 1000;
/** Where nothing tells of changes, the timer is all there is. */
const fallbackTimerMs = 100;
const emptyEveryBytes = 8 * 1024 * 1024;

/**
 * Gives what is new and says whether anything was. Synchronous: what was just written lies in the page cache, and three
 * ways to a thread and back cost more than all that is done with it. Others get their turn after each chunk.
 */
async function readOn(file: Followed, lines: Lines): Promise<boolean> {
  const { fd, buffer } = file;
  // A child that opens /dev/stdout anew empties the file: begin again at its start.
  if (fstatSync(fd).size < file.at) file.at = 0;
  for (let found = false; ; found = true) {
    const length = readSync(fd, buffer, 0, buffer.length, file.at);
    if (length === 0) return found;
    file.at += length;
    await lines.take(buffer.subarray(0, length));
    if (lines.full && file.at >= emptyEveryBytes) {
      ftruncateSync(fd);
      file.at = 0;
    }
    if (length < buffer.length) return true;
    await nextTurn();
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

/** When to look at the file again. */
class Wake {
  readonly #path: string;
  #next = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | null = null;
  #watcher: { close(): void } | null = null;
  #hasEnded = false;

  constructor(path: string, ended: Promise<unknown>) {
    this.#path = path;
    const stop = (): void => {
      this.#hasEnded = true;
      this.#next.resolve();
    };
    ended.then(stop, stop);
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** A moment in which more is gathered and nothing is told of it; none after the end. */
  async pause(): Promise<void> {
    this.#timer = setTimeout(() => this.#next.resolve(), pauseMs);
    await this.#come();
    clearTimeout(this.#timer);
  }

  /** Resolves when there is something to read, or at the end. */
  async whenChanged(isChanged: () => boolean): Promise<void> {
    this.#timer = setInterval(() => this.#next.resolve(), slowTimerMs);
    this.#watch();
    // What was written before the watch began is seen by the first look.
    while (!this.#hasEnded && !isChanged()) await this.#come();
    this.close();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#watcher?.close();
    this.#watcher = null;
  }

  async #come(): Promise<void> {
    if (this.#hasEnded) return;
    await this.#next.promise;
    this.#next = Promise.withResolvers<void>();
  }

  #watch(): void {
    const fail = (): void => {
      if (this.#timer !== null) clearInterval(this.#timer);
      this.#timer = setInterval(() => this.#next.resolve(), fallbackTimerMs);
    };
    try {
      this.#watcher = watch(this.#path, () => this.#next.resolve()).once("error", fail);
    } catch {
      // Too many watches on this machine, or a file system without them.
      fail();
    }
  }
}
