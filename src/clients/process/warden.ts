import type { ChildProcess } from "node:child_process";
import { constants as osConstants } from "node:os";
import { Duplex } from "node:stream";
import { GlasshouseError } from "../../domain/errors.ts";
import { childPids, identify, identityAlive, type ProcessIdentity } from "./identity.ts";

export interface Child {
  /** To be stored before `go`, so that recovery can prove the child dead. */
  readonly identity: ProcessIdentity;
  /** Lets it start. Before this nothing of it runs. */
  go(): void;
  /** One SIGINT to the child's own pid, in its whole life: repeating it does nothing. Before `go`: it is never started. */
  interrupt(): void;
  /**
   * Unless this is called again before, its warden ends it by itself after `leaseMs` from now, as when the server died, and
   * does not start it when it was not let go by then. What comes after that end changes nothing. Less than a second counts
   * as nothing; without /proc the warden knows no such end.
   */
  holdFor(leaseMs: number): void;
  /** Kills it at once, with all that it started (with `leavesProcesses`: itself alone). Safe to repeat. */
  kill(): void;
  /** Resolves when it has ended, whoever may still hold its files open. Never rejects. */
  readonly exited: Promise<ChildExit>;
}

export interface ChildExit {
  /** As a shell says it: 128 + n when signal n ended it (a program that exits with that number itself looks the same), 126 and 127 when it could not be started. */
  readonly code: number;
  readonly signal: string | null;
  /** False when it ended before `go`; then the code is that of an interrupt, never 0. */
  readonly started: boolean;
}

/** What ends with the child: everything in its namespace, its process group, or nothing else. */
export type Scope = "namespace" | "group" | "alone";

/**
 * The descriptors of the warden's sockets, for what it is told and for what it says; one digit, because that is what every sh
 * can redirect. Two, because a failed write ends a socket together with what has not been read from it.
 */
export const ordersFd = 7;
export const wordsFd = 9;
const readyTimeoutMs = 30_000;

/** The server's end of one warden: see warden.sh for the other. */
export class Warden {
  readonly #process: ChildProcess;
  readonly #scope: Scope;
  readonly #isWrapped: boolean;
  readonly #orders: Duplex | null;
  readonly #words: Duplex | null;
  readonly #ready = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<ChildExit>();
  #identity: ProcessIdentity | null = null;
  #said = "";
  #started = false;
  #ended = false;

  constructor(process: ChildProcess, of: { readonly scope: Scope; readonly isWrapped: boolean }) {
    this.#process = process;
    this.#scope = of.scope;
    this.#isWrapped = of.isWrapped;
    this.#orders = socketOf(process, ordersFd);
    this.#words = socketOf(process, wordsFd);
    // A warden that dies while it is written to is reported by its exit.
    this.#orders?.on("error", () => undefined);
    this.#orders?.resume();
    this.#words?.on("error", () => undefined);
    this.#words?.on("data", (chunk: Buffer) => this.#hear(chunk.toString("latin1")));
    process.once("error", (error) => this.#failed(error));
    process.once("exit", (code, signal) => void this.#ends(code, signal));
  }

  get exited(): Promise<ChildExit> {
    return this.#exited.promise;
  }

  async becomesReady(): Promise<void> {
    const timer = setTimeout(() => {
      this.#ready.reject(new GlasshouseError("timeout", "its warden was not ready within 30 s"));
    }, readyTimeoutMs);
    await this.#ready.promise.finally(() => clearTimeout(timer));
  }

  /** The process that counts is the warden, in a namespace its pid 1: the only child of the wrapper. */
  async identify(stopsWithinMs: number): Promise<ProcessIdentity> {
    const outer = this.#process.pid ?? 0;
    const pid = this.#isWrapped ? childPids(outer)[0] : outer;
    const identity = pid === undefined ? null : await identify(pid, stopsWithinMs);
    if (identity === null) throw new Error("its warden ended at once");
    this.#identity = identity;
    return identity;
  }

  child(identity: ProcessIdentity): Child {
    return {
      identity,
      exited: this.exited,
      go: () => this.#go(),
      // Written in the same turn as it was counted, so that a server that is stopped in between cannot make it longer.
      holdFor: (leaseMs) => {
        if (leaseMs >= 1_000) this.#say(`lease ${(Math.floor(leaseMs / 10) / 100).toFixed(2)}`);
      },
      interrupt: () => (this.#started ? this.#say("interrupt") : this.giveUp()),
      kill: () => (this.#started ? void this.#kill() : this.giveUp()),
    };
  }

  /** End of file before `go`: the warden leaves without starting anything. */
  giveUp(): void {
    this.#orders?.destroy();
    if (this.#identity === null) this.#process.kill("SIGKILL");
  }

  #go(): void {
    if (this.#started || this.#orders?.destroyed === true) return;
    this.#started = true;
    this.#say("go");
  }

  #say(word: string): void {
    if (!this.#ended) this.#orders?.write(`${word}\n`);
  }

  async #kill(): Promise<void> {
    const identity = this.#identity;
    if (this.#scope === "alone") return this.#say("kill");
    if (this.#ended || identity === null || !(await identityAlive(identity))) return;
    try {
      process.kill(this.#scope === "group" ? -identity.pid : identity.pid, "SIGKILL");
    } catch {
      // It ended in this moment.
    }
  }

  #hear(text: string): void {
    this.#said += text;
    if (this.#said.startsWith("ready\n")) this.#ready.resolve();
  }

  #failed(error: Error): void {
    this.#ready.reject(error);
    this.#settle({ code: 127, signal: null, started: false });
  }

  async #ends(code: number | null, signal: NodeJS.Signals | null): Promise<void> {
    this.#ready.reject(new Error(`its warden ended with ${signal ?? String(code)}`));
    await this.#lastWords();
    const said = /exit (\d+)\n$/u.exec(this.#said)?.[1];
    const { SIGKILL, SIGINT } = osConstants.signals;
    const silent = 128 + (this.#started ? SIGKILL : SIGINT);
    const status = said === undefined ? silent : Number(said);
    this.#settle({ code: status, signal: signalName(status), started: this.#started });
  }

  /** The exit may be seen before what was said last. Nobody but the warden holds its end of the socket. */
  async #lastWords(): Promise<void> {
    if (this.#words === null || this.#words.destroyed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#words.once("close", resolve);
    const timer = setTimeout(resolve, 5000);
    await promise;
    clearTimeout(timer);
  }

  #settle(exit: ChildExit): void {
    this.#ended = true;
    this.#orders?.destroy();
    this.#words?.destroy();
    this.#exited.resolve(exit);
  }
}

function socketOf(process: ChildProcess, fd: number): Duplex | null {
  const socket: unknown = Array.from<unknown>(process.stdio)[fd];
  return socket instanceof Duplex ? socket : null;
}

function signalName(status: number): string | null {
  if (status <= 128) return null;
  const found = Object.entries(osConstants.signals).find(([, number]) => number === status - 128);
  return found?.[0] ?? null;
}
