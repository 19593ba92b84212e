import { fork, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { z } from "zod";

const heard = z.union([
  z.object({ answer: z.number(), value: z.number() }),
  z.object({ answer: z.number(), error: z.string() }),
  z.object({ said: z.string(), atMs: z.number() }),
]);

/** The clock of the machine, the same for all of its processes, in milliseconds. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** One of the two sides that are compared, in a process of its own, so that neither works beside who measures it. */
export class BusChild {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<number>>();
  readonly #listening = new Map<string, (atMs: number) => void>();
  #asked = 0;

  constructor(fixture: string, args: readonly string[]) {
    this.#child = fork(join(import.meta.dirname, fixture), [...args]);
    this.#child.on("message", (message) => this.#hear(message));
    this.#child.once("exit", (code, signal) => {
      const error = new Error(`${fixture} ended: ${code ?? signal}`);
      for (const { reject } of this.#waiting.values()) reject(error);
    });
  }

  /** Asks for a job and gives its figure. */
  ask(job: string, count = 0): Promise<number> {
    const id = (this.#asked += 1);
    const answer = Promise.withResolvers<number>();
    this.#waiting.set(id, answer);
    this.#child.send({ id, job, count });
    return answer.promise;
  }

  /** Resolves with the time at which the child says so for the next time. */
  hears(said: string): Promise<number> {
    return new Promise((resolve) => {
      this.#listening.set(said, resolve);
    });
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => {
      this.#child.once("exit", resolve);
    });
    this.#child.kill("SIGKILL");
    await ended;
  }

  #hear(message: unknown): void {
    const known = heard.parse(message);
    if ("said" in known) {
      this.#listening.get(known.said)?.(known.atMs);
      return;
    }
    const waiting = this.#waiting.get(known.answer);
    this.#waiting.delete(known.answer);
    if ("error" in known) waiting?.reject(new Error(known.error));
    else waiting?.resolve(known.value);
  }
}

const asked = z.object({ id: z.number(), job: z.string(), count: z.number() });

/** The child's end: does what it is asked for, and says when something has happened. */
export function answerParent(
  jobs: Readonly<Record<string, (count: number) => Promise<number>>>,
): void {
  process.on("message", (message) => {
    const { id, job, count } = asked.parse(message);
    const doing = jobs[job]?.(count) ?? Promise.reject(new Error(`there is no job ${job}`));
    doing.then(
      (value) => process.send?.({ answer: id, value }),
      (error: unknown) => process.send?.({ answer: id, error: String(error) }),
    );
  });
}

export function tellParent(said: string, atMs: number): void {
  process.send?.({ said, atMs });
}

/** Lets messages pass only while it is open, and says how long so many of them took from its opening on. */
export class Gate {
  #opened = Promise.withResolvers<void>();
  #isOpen = true;
  #passed = 0;
  #wanted = 0;
  #done: (() => void) | null = null;

  async enter(): Promise<void> {
    if (!this.#isOpen) await this.#opened.promise;
  }

  /** Call it when a message is done with. */
  leave(): void {
    this.#passed += 1;
    if (this.#passed === this.#wanted) this.#done?.();
  }

  shut(): void {
    this.#isOpen = false;
    this.#opened = Promise.withResolvers();
  }

  /** Opens it; gives the milliseconds until so many have left. */
  async take(count: number): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#done = resolve;
    this.#passed = 0;
    this.#wanted = count;
    this.#isOpen = true;
    const begun = performance.now();
    this.#opened.resolve();
    await promise;
    return performance.now() - begun;
  }
}
