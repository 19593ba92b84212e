import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Pids of processes, anywhere on this machine, with this text in their arguments or environment; never the test's own. */
export function processesShowing(text: string): readonly number[] {
  return allPids().filter((pid) =>
    ["cmdline", "environ"].some((file) => procFile(pid, file).includes(text)),
  );
}

/** The same without shells that have a script in their arguments, because they show every text that the script has. */
export function processesWith(text: string): readonly number[] {
  return processesShowing(text).filter((pid) => !isScript(pid));
}

/** Waits until it is so; fails the test after 10 s. */
export async function until(condition: () => boolean): Promise<void> {
  for (let n = 0; !condition(); n += 1) {
    assert.ok(n < 500, `not so within 10 s: ${String(condition)}`);
    await sleep(20);
  }
}

function allPids(): readonly number[] {
  const names = readdirSync("/proc").filter((name) => /^\d+$/u.test(name));
  return names.map(Number).filter((pid) => pid !== process.pid);
}

function isScript(pid: number): boolean {
  return /warden\.sh|sh\0-c/u.test(procFile(pid, "cmdline"));
}

function procFile(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "latin1");
  } catch {
    return "";
  }
}
