import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Which process, beyond doubt: a pid alone is reused. In a namespace it is the warden, whose end is the end of all that the
 * child started; in weak isolation it is the warden alone.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start time in clock ticks since boot, field 22 of /proc/<pid>/stat; empty where there is no /proc. */
  readonly startTime: string;
  readonly bootId: string;
  /** How long the child may run on after its server died, before its warden kills it. */
  readonly stopsWithinMs: number;
}

/** The identity of a living process; null when there is none with this pid. */
export async function identify(
  pid: number,
  stopsWithinMs: number,
): Promise<ProcessIdentity | null> {
  if (process.platform !== "linux")
    return answers(pid) ? { pid, startTime: "", bootId: "", stopsWithinMs } : null;
  const stat = readStat(pid);
  if (stat === null) return null;
  return { pid, startTime: stat.startTime, bootId: readBootId(), stopsWithinMs };
}

/** A process that others on this machine may look for. Its members beside pid and start time say whether they can see it. */
export interface MachineProcess {
  readonly host: string;
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
  readonly pidNamespace: string;
}

export async function identifySelf(): Promise<MachineProcess> {
  const self = { host: hostname(), pid: process.pid };
  if (process.platform !== "linux") return { ...self, startTime: "", bootId: "", pidNamespace: "" };
  const stat = readStat(process.pid);
  const bootId = readBootId();
  const pidNamespace = ownPidNamespace();
  return { ...self, startTime: stat?.startTime ?? "", bootId, pidNamespace };
}

/**
 * True when this process, seeing the same processes as that one, sees that it has ended. Where /proc shows nothing (other
 * system, hidden by its mount options) only the system's own word counts that no such pid exists.
 */
export async function provenGone(other: MachineProcess): Promise<boolean> {
  const self = await identifySelf();
  const sameView =
    self.host === other.host &&
    self.bootId === other.bootId &&
    self.pidNamespace === other.pidNamespace &&
    self.pidNamespace !== "";
  if (!sameView) return false;
  const stat = readStat(other.pid);
  if (stat === null) return !exists(other.pid);
  return stat.startTime !== other.startTime || "ZX".includes(stat.state);
}

/**
 * True while exactly this process lives: same boot, same pid, same start time, and not a zombie (a zombie pid 1 of a
 * namespace has seen all others die).
 */
export async function identityAlive(identity: ProcessIdentity): Promise<boolean> {
  if (process.platform !== "linux") return answers(identity.pid);
  if (identity.bootId !== readBootId()) return false;
  const stat = readStat(identity.pid);
  return stat !== null && stat.startTime === identity.startTime && !"ZX".includes(stat.state);
}

export interface AwaitGoneOptions {
  /** How long to wait for its own end. Default: what its warden may take, and two seconds. */
  readonly timeoutMs?: number;
  /** Kill it when it has not ended by then. */
  readonly kill: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Waits until the process is proven dead, then kills it if asked. `gone`: it ended by itself or was not there; `killed`:
 * it was killed here and is gone; `alive`: it is still there (not to be killed, the wait was aborted, or it cannot be
 * killed). Only a process whose identity matches is ever signalled. Safe to repeat.
 */
export async function awaitGone(
  identity: ProcessIdentity,
  options: AwaitGoneOptions,
): Promise<"gone" | "killed" | "alive"> {
  const waitMs = options.timeoutMs ?? identity.stopsWithinMs + 2000;
  if (await endsWithin(identity, { waitMs, signal: options.signal })) return "gone";
  if (!options.kill || options.signal?.aborted === true || process.platform !== "linux")
    return "alive";
  try {
    process.kill(identity.pid, "SIGKILL");
  } catch {
    // It ended meanwhile, or belongs to another user: the next look decides.
  }
  return (await endsWithin(identity, { waitMs: 5000, signal: options.signal }))
    ? "killed"
    : "alive";
}

/** Pids of the direct children of a process of this machine. */
export function childPids(pid: number): readonly number[] {
  try {
    const list = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
    return list.split(" ").filter(Boolean).map(Number);
  } catch {
    // Kernels without CONFIG_PROC_CHILDREN: look through all of them.
    const pids = readdirSync("/proc").filter((name) => /^\d+$/u.test(name));
    return pids.map(Number).filter((each) => readStat(each)?.parent === pid);
  }
}

async function endsWithin(
  identity: ProcessIdentity,
  { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal | undefined },
): Promise<boolean> {
  const end = performance.now() + waitMs;
  for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 2, 250)) {
    if (!(await identityAlive(identity))) return true;
    const leftMs = end - performance.now();
    if (leftMs <= 0 || signal?.aborted === true) return false;
    await sleep(Math.min(pauseMs, leftMs), undefined, signal === undefined ? {} : { signal }).catch(
      () => undefined,
    );
  }
}

interface Stat {
  readonly state: string;
  readonly parent: number;
  readonly startTime: string;
}

/**
 * The command's name, in parentheses, may hold anything, so fields are counted after the last one. Synchronous, as all
 * that is read of /proc here: the kernel answers from memory, sooner than a thread would be woken, and a child waits for it.
 */
function readStat(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0] ?? "", parent: Number(fields[1]), startTime: fields[19] ?? "" };
  } catch {
    return null;
  }
}

function readBootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** Empty where it is hidden. */
function ownPidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

/** A process of another user exists too, although it may not be signalled. */
function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

function answers(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
