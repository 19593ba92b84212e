import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { closeSync, constants, openSync, readFileSync } from "node:fs";
import { constants as osConstants } from "node:os";
import { Duplex } from "node:stream";
import { GlasshouseError } from "../../domain/errors.ts";
import { childPids, identify, identityAlive, type ProcessIdentity } from "./identity.ts";
import { wardenPath, wrap, type Isolation } from "./isolation.ts";
import { openMemoryFile } from "./memory-file.ts";

export interface ChildSpec {
  /** The program, by path or looked up on `env.PATH`, and its arguments as they are. No shell reads them. */
  readonly argv: readonly string[];
  readonly cwd: string;
  /** The whole environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** What it reads on its input; nothing when absent. */
  readonly stdin?: string | Uint8Array;
  /** Further content it finds at descriptors 3 to 7 and `/dev/fd/<n>`: never on a disk, in an argument or a variable. */
  readonly descriptors?: readonly {
    readonly fd: 3 | 4 | 5 | 6 | 7;
    readonly content: string | Uint8Array;
  }[];
  /** File for its output and errors, made with mode 0600, emptied first. */
  readonly outputFile: string;
  /** File for its errors alone; without it they go to `outputFile`. */
  readonly errorFile?: string;
  /** Directories it may not see, where bwrap exists. */
  readonly hide?: readonly string[];
  /** What stays visible although it lies below a hidden directory: the work directory, caches. */
  readonly expose?: readonly string[];
  /** How long it may take to stop after a SIGINT when the server died. Whole seconds, rounded up. */
  readonly stopsWithinMs: number;
  /** It starts processes that are meant to stay: no namespace, nothing but itself ends with it. */
  readonly leavesProcesses?: boolean;
}

export interface Child {
  /** To be stored before `go`, so that recovery can prove the child dead. */
  readonly identity: ProcessIdentity;
  /** Lets it start. Before this nothing of it runs. */
  go(): void;
  /** One SIGINT to the child's own pid, in its whole life: repeating it does nothing. Before `go`: it is never started. */
  interrupt(): void;
  /** Kills it at once, with all that it started (with `leavesProcesses`: itself alone). Safe to repeat. */
  kill(): void;
  /** Resolves when it has ended, whoever may still hold its files open. Never rejects. */
  readonly exited: Promise<ChildExit>;
}

export interface ChildExit {
  /** As a shell says it: 128 + n when signal n ended it (a program that exits with that number itself looks the same), 126 and 127 when it could not be started. */
  readonly code: number;
  readonly signal: string | null;
  /** False when it ended before `go`. */
  readonly started: boolean;
}

/**
 * Starts the warden of one child and resolves when it is ready; the child itself waits for `go()`. The caller must call
 * `go`, `interrupt` or `kill` in the end. When the server dies the warden interrupts the child, waits `stopsWithinMs` and
 * kills it. Throws `step-failed` when the warden cannot be started, `unavailable` when the machine has no room for it,
 * `invalid-request` when `argv` cannot be a command.
 */
export async function startChild(isolation: Isolation, spec: ChildSpec): Promise<Child> {
  checkArgv(spec.argv);
  const scope = scopeOf(isolation, spec);
  const { sh, env, sleep } = isolation.tools;
  const seconds = String(Math.ceil(spec.stopsWithinMs / 1000));
  const command = [sh, wardenPath, scope, seconds, env, sleep, ...spec.argv];
  const hiding = { cwd: spec.cwd, hide: spec.hide ?? [], expose: spec.expose ?? [] };
  const wrapped = scope === "namespace" ? await wrap(isolation, command, hiding) : command;
  const warden = new Warden(spawnWith(wrapped, spec), scope);
  try {
    await warden.becomesReady();
    return warden.child(await warden.identify(spec.stopsWithinMs));
  } catch (error) {
    warden.giveUp();
    await warden.exited;
    throw startFault(error, spec);
  }
}

type Scope = "namespace" | "group" | "alone";

const controlFd = 9;
const readyTimeoutMs = 30_000;

function checkArgv(argv: readonly string[]): void {
  const program = argv[0] ?? "";
  if (program === "" || program.includes("="))
    throw new GlasshouseError(
      "invalid-request",
      `"${program}" cannot be a program to start: its name may not be empty or contain "=".`,
    );
  if (argv.some((argument) => argument.includes("\0")))
    throw new GlasshouseError(
      "invalid-request",
      `The command "${program}" has an argument with a NUL byte: no process can be given that.`,
    );
}

function scopeOf(isolation: Isolation, spec: ChildSpec): Scope {
  if (spec.leavesProcesses === true) return "alone";
  return isolation.kind === "none" ? "group" : "namespace";
}

/** Opens the child's files, starts the command as leader of a session of its own, and closes the server's copies. */
function spawnWith([program = "", ...rest]: readonly string[], spec: ChildSpec): ChildProcess {
  const opened: number[] = [];
  const keep = (fd: number): number => {
    opened.push(fd);
    return fd;
  };
  try {
    const stdio: (number | "ignore" | "pipe")[] = Array.from({ length: 10 }, () => "ignore");
    if (spec.stdin !== undefined) stdio[0] = keep(openMemoryFile(spec.stdin));
    stdio[1] = keep(openOutput(spec.outputFile));
    stdio[2] = spec.errorFile === undefined ? stdio[1] : keep(openOutput(spec.errorFile));
    for (const { fd, content } of spec.descriptors ?? []) stdio[fd] = keep(openMemoryFile(content));
    stdio[controlFd] = "pipe";
    const options: { stdio: StdioOptions } = { stdio };
    return spawn(program, rest, { ...options, cwd: spec.cwd, env: spec.env, detached: true });
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

function openOutput(path: string): number {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND, O_NOFOLLOW } = constants;
  return openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW, 0o600);
}

/** The server's end of one warden. */
class Warden {
  readonly #process: ChildProcess;
  readonly #scope: Scope;
  readonly #control: Duplex | null;
  readonly #ready = Promise.withResolvers<void>();
  readonly #exited = Promise.withResolvers<ChildExit>();
  #identity: ProcessIdentity | null = null;
  #said = "";
  #started = false;
  #ended = false;

  constructor(process: ChildProcess, scope: Scope) {
    this.#process = process;
    this.#scope = scope;
    this.#control = controlOf(process);
    // A warden that dies while it is written to is reported by its exit.
    this.#control?.on("error", () => undefined);
    this.#control?.on("data", (chunk: Buffer) => this.#hear(chunk.toString("latin1")));
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

  /** In a namespace the process that counts is its pid 1, the only child of the wrapper. */
  async identify(stopsWithinMs: number): Promise<ProcessIdentity> {
    const outer = this.#process.pid ?? 0;
    const pid = this.#scope === "namespace" ? (await childPids(outer))[0] : outer;
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
      interrupt: () => (this.#started ? this.#say("interrupt") : this.giveUp()),
      kill: () => (this.#started ? void this.#kill() : this.giveUp()),
    };
  }

  /** End of file before `go`: the warden leaves without starting anything. */
  giveUp(): void {
    this.#control?.destroy();
    if (this.#identity === null) this.#process.kill("SIGKILL");
  }

  #go(): void {
    if (this.#started || this.#control?.destroyed === true) return;
    this.#started = true;
    this.#say("go");
  }

  #say(word: string): void {
    if (!this.#ended) this.#control?.write(`${word}\n`);
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
    if (this.#scope === "group") await this.#lastWords();
    // A warden of a group ends itself together with the rest of it, and says the child's status before.
    const said = /exit (\d+)\n$/u.exec(this.#said)?.[1];
    const status = said === undefined ? (code ?? 128 + signalNumber(signal)) : Number(said);
    this.#settle({ code: status, signal: signalName(status), started: this.#started });
  }

  async #lastWords(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (this.#control === null || this.#control.destroyed) return;
    this.#control.once("close", resolve);
    const timer = setTimeout(resolve, 500);
    await promise;
    clearTimeout(timer);
  }

  #settle(exit: ChildExit): void {
    this.#ended = true;
    this.#control?.destroy();
    this.#exited.resolve(exit);
  }
}

function controlOf(process: ChildProcess): Duplex | null {
  const control: unknown = Array.from<unknown>(process.stdio)[controlFd];
  return control instanceof Duplex ? control : null;
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : osConstants.signals[signal];
}

function signalName(status: number): string | null {
  if (status <= 128) return null;
  const found = Object.entries(osConstants.signals).find(([, number]) => number === status - 128);
  return found?.[0] ?? null;
}

function startFault(error: unknown, spec: ChildSpec): GlasshouseError {
  const reason = error instanceof Error ? error.message : String(error);
  const busy = /EAGAIN|ENOMEM|EMFILE|ENFILE/u.test(reason);
  const output = lastOutput(spec.errorFile ?? spec.outputFile);
  return new GlasshouseError(
    busy ? "unavailable" : "step-failed",
    `"${spec.argv[0]}" could not be started in ${spec.cwd}: ${reason}${output}.`,
    { cause: error },
  );
}

/** What the wrapper wrote before it gave up. The child did not run yet, so this holds nothing of it. */
function lastOutput(path: string): string {
  try {
    const text = readFileSync(path, "utf8").trim();
    return text === "" ? "" : ` (${text.slice(-300)})`;
  } catch {
    return "";
  }
}
