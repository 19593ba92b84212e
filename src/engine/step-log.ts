import { mayPass } from "../domain/errors.ts";
import type { Fence, LogLine } from "../ports/work.ts";
import { timestamp } from "../ports/clock.ts";
import type { EngineDeps } from "./deps.ts";

const flushAfterMs = 250;
const flushLines = 500;
/** How long lines wait that the store did not take. */
const holdMs = 2_000;
/** A step keeps at most so many lines and characters; what comes after is counted and named in one last line. */
const capLines = 20_000;
const capCharacters = 8 * 1024 * 1024;

type LogDeps = Pick<EngineDeps, "store" | "clock" | "log">;

/**
 * The log of one attempt: lines are masked, numbered, gathered and stored a few times a second, as long as no later claim of
 * the step exists: the lines of an owner that was taken for dead would take the numbers of its successor's.
 */
export class StepLog {
  readonly #deps: LogDeps;
  readonly #fence: Fence;
  readonly #mask: (line: string) => string;
  #next: number;
  #characters = 0;
  #dropped = 0;
  #waiting: LogLine[] = [];
  #forgetTimer: (() => void) | null = null;
  #flushing: Promise<void> = Promise.resolve();

  constructor(
    deps: LogDeps,
    at: {
      readonly fence: Fence;
      readonly last: number;
      readonly mask: (line: string) => string;
    },
  ) {
    this.#deps = deps;
    this.#fence = at.fence;
    this.#mask = at.mask;
    this.#next = at.last + 1;
  }

  write(line: string): void {
    if (this.#next > capLines || this.#characters > capCharacters) {
      this.#dropped += 1;
      return;
    }
    const text = this.#mask(line);
    this.#characters += text.length;
    this.#add(text);
    if (this.#waiting.length >= flushLines) void this.flush();
    else this.#forgetTimer ??= this.#deps.clock.after(flushAfterMs, () => void this.flush());
  }

  /** Stores what waits. Resolves when it is stored; a failure is logged, as a log line may not fail a step. */
  flush(): Promise<void> {
    this.#forgetTimer?.();
    this.#forgetTimer = null;
    this.#flushing = this.#flushing.then(() => this.#store());
    return this.#flushing;
  }

  /** The last flush of the attempt. */
  async close(): Promise<void> {
    if (this.#dropped > 0)
      this.#add(
        `… ${this.#dropped} more lines were not kept: a step's log ends at ${capLines} lines or ${capCharacters >> 20} MiB`,
      );
    this.#dropped = 0;
    await this.flush();
  }

  #add(text: string): void {
    this.#waiting.push({
      number: this.#next,
      token: this.#fence.token,
      time: timestamp(this.#deps.clock),
      text,
    });
    this.#next += 1;
  }

  /** The disk is full or the database away: the lines, bounded by the cap, are kept until they can be stored. */
  #hold(lines: readonly LogLine[]): void {
    this.#waiting.unshift(...lines);
    this.#forgetTimer ??= this.#deps.clock.after(holdMs, () => void this.flush());
  }

  async #store(): Promise<void> {
    const lines = this.#waiting;
    if (lines.length === 0) return;
    this.#waiting = [];
    try {
      await this.#deps.store.transact(async (tx) => {
        await tx.steps.fenceLast(this.#fence);
        await tx.logs.append(this.#fence.stepId, lines);
      });
    } catch (error) {
      if (mayPass(error)) {
        this.#hold(lines);
        return;
      }
      this.#deps.log.warn("Lines of a step's log could not be stored", {
        stepId: this.#fence.stepId,
        lines: lines.length,
        error,
      });
    }
  }
}
