import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { closeSync, constants, existsSync, openSync, readFileSync } from "node:fs";
import { GlasshouseError } from "../../domain/errors.ts";
import { wardenPath, wrap, type Isolation } from "./isolation.ts";
import { openMemoryFile } from "./memory-file.ts";
import { ordersFd, Warden, wordsFd, type Child, type Scope } from "./warden.ts";

export interface ChildSpec {
  /** The program, by path or looked up on `env.PATH`, and its arguments as they are. No shell reads them. */
  readonly argv: readonly string[];
  readonly cwd: string;
  /** The whole environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** What it reads on its input; nothing when absent. */
  readonly stdin?: string | Uint8Array;
  /** Further content it finds at descriptors 3 to 6 and `/dev/fd/<n>`: never on a disk, in an argument or a variable. */
  readonly descriptors?: readonly {
    readonly fd: 3 | 4 | 5 | 6;
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
  const wrapped = await wrap(isolation, command, {
    cwd: spec.cwd,
    pidNamespace: scope === "namespace",
    hide: spec.hide ?? [],
    expose: spec.expose ?? [],
  });
  const warden = new Warden(spawnWith(wrapped, spec), { scope, isWrapped: wrapped !== command });
  try {
    await warden.becomesReady();
    return warden.child(await warden.identify(spec.stopsWithinMs));
  } catch (error) {
    warden.giveUp();
    await warden.exited;
    throw startFault(error, spec);
  }
}

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
    stdio[ordersFd] = "pipe";
    stdio[wordsFd] = "pipe";
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

function startFault(error: unknown, spec: ChildSpec): GlasshouseError {
  const told = error instanceof Error ? error.message : String(error);
  // The system says "no such file" of the program when it means the directory.
  const reason = existsSync(spec.cwd) ? told : "this directory does not exist";
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
