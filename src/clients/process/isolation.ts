import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { realpath } from "node:fs/promises";
import { delimiter, dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * How children are held together here. `bwrap` and `unshare`: a pid namespace, so nothing outlives the warden. `none`: the
 * warden alone, which a descendant with a session of its own escapes; `doctor` calls it weak.
 */
export interface Isolation {
  readonly kind: IsolationKind;
  readonly strength: "strong" | "weak";
  /** For people: what was found, or what is missing. */
  readonly reason: string;
  readonly tools: {
    readonly sh: string;
    /** Empty where `env --default-signal` does not exist. */
    readonly env: string;
    readonly sleep: string;
    /** Path of `bwrap` or `unshare`; empty for `none`. */
    readonly wrapper: string;
  };
}

export type IsolationKind = "bwrap" | "unshare" | "none";

export const wardenPath = fileURLToPath(new URL("warden.sh", import.meta.url));

/**
 * Finds the strongest way that works on this machine by trying each, best first; two short processes. `among` limits the
 * choice (`none` is always possible). Call it once and hand the result on. The first process is started before it returns,
 * so that a caller who then keeps the thread busy loses no time.
 */
export async function detectIsolation(
  among: readonly IsolationKind[] = ["bwrap", "unshare"],
): Promise<Isolation> {
  const basic = {
    sh: find("sh"),
    env: find("env"),
    sleep: find("sleep"),
    wrapper: "",
  };
  const faults: string[] =
    process.platform === "linux" ? [] : [`on ${process.platform} there are no pid namespaces`];
  for (const kind of ["bwrap", "unshare"] as const) {
    if (process.platform !== "linux" || !among.includes(kind)) continue;
    const wrapper = find(kind);
    if (wrapper === kind) {
      faults.push(`${kind} is not installed`);
      continue;
    }
    const tools = { ...basic, wrapper };
    const fault = await tryOut({ kind, strength: "strong", reason: "", tools });
    if (fault === null) return { kind, strength: "strong", reason: `${wrapper} works`, tools };
    faults.push(`${wrapper} does not work (${fault})`);
  }
  const env = (await run([basic.env, "--default-signal=INT", basic.env, "true"])) === null;
  if (!env) faults.push("env cannot reset signals, so children are stopped with SIGTERM");
  const tools = { ...basic, env: env ? basic.env : "" };
  return { kind: "none", strength: "weak", reason: faults.join("; "), tools };
}

export interface WrapOptions {
  readonly cwd: string;
  /** False for a child whose processes are to outlive it: then directories are hidden and nothing else is done. */
  readonly pidNamespace: boolean;
  /** Directories that children may not see; only bwrap can hide them. */
  readonly hide: readonly string[];
  /** Directories or files that stay visible although they lie below a hidden one. */
  readonly expose: readonly string[];
}

/** The command that runs `command` as pid 1 of a namespace of its own, or the command itself where there is nothing to wrap. */
export async function wrap(
  { kind, tools }: Isolation,
  command: readonly string[],
  { cwd, pidNamespace, hide, expose }: WrapOptions,
): Promise<readonly string[]> {
  if (kind === "none" || (!pidNamespace && (kind === "unshare" || hide.length === 0)))
    return command;
  if (kind === "unshare") return [tools.wrapper, ...unshareFlags(), ...command];
  const flags = bwrapFlags(pidNamespace);
  const hidden = await existing(hide);
  const below = (path: string): boolean =>
    hidden.some((directory) => path.startsWith(directory + sep));
  for (const directory of hidden) flags.push("--tmpfs", directory);
  for (const path of await existing([...expose, dirname(wardenPath)]))
    if (below(path)) flags.push("--bind", path, path);
  return [tools.wrapper, ...flags, "--chdir", cwd, "--", ...command];
}

function bwrapFlags(pidNamespace: boolean): string[] {
  const namespace = pidNamespace ? ["--unshare-pid", "--as-pid-1", "--proc", "/proc"] : [];
  return ["--dev-bind", "/", "/", ...namespace];
}

function unshareFlags(): readonly string[] {
  const flags = ["--pid", "--fork", "--kill-child=KILL", "--mount-proc"];
  return process.geteuid?.() === 0 ? flags : ["--user", "--map-current-user", ...flags];
}

/** Null when a command runs as pid 1 and SIGINT can be reset; otherwise what went wrong. */
function tryOut({ kind, tools }: Isolation): Promise<string | null> {
  const { sh, env, wrapper } = tools;
  const check = `[ $$ = 1 ] && exec ${env} --default-signal=INT,QUIT ${env} true`;
  const flags = kind === "bwrap" ? [...bwrapFlags(true), "--"] : unshareFlags();
  return run([wrapper, ...flags, sh, "-c", check]);
}

function run([program = "", ...rest]: readonly string[]): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  execFile(program, rest, { timeout: 10_000, cwd: "/" }, (error, _stdout, stderr) => {
    resolve(error === null ? null : stderr.trim().split("\n")[0] || error.message);
  });
  return promise;
}

/** The full path of a program on PATH or in the usual places; its bare name when it is nowhere. */
function find(name: string): string {
  const path = (process.env["PATH"] ?? "").split(delimiter);
  for (const directory of [...path, "/usr/bin", "/bin", "/usr/sbin", "/sbin"]) {
    if (!directory.startsWith("/")) continue;
    const candidate = join(directory, name);
    if (isProgram(candidate)) return candidate;
  }
  return name;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function existing(paths: readonly string[]): Promise<readonly string[]> {
  const real = await Promise.all(paths.map((path) => realpath(path).catch(() => null)));
  return real.filter((path) => path !== null);
}
