import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { GlasshouseError } from "../../../domain/errors.ts";
import { isBusy } from "./errors.ts";

export interface DirectoryLock {
  release(): void;
}

/** How long a process that is just ending is waited for. */
const patienceMs = 2_000;
const betweenTriesMs = 100;

/**
 * Takes the exclusive lock of a data directory: a database of its own on which an exclusive transaction stays open. The
 * operating system frees it when the process ends in whatever way, and it holds between containers, where process ids
 * say nothing. No other code may open and close `lock.db` as a plain file: that would drop the lock (POSIX locks belong
 * to the process). Errors: `conflict` with the holder's pid, after two seconds.
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const holder = join(directory, "lock.pid");
  const database = new DatabaseSync(join(directory, "lock.db"), { timeout: 0 });
  const until = performance.now() + patienceMs;
  for (;;) {
    try {
      database.exec("begin exclusive");
      break;
    } catch (error) {
      if (isBusy(error) && performance.now() < until) {
        await sleep(betweenTriesMs);
        continue;
      }
      database.close();
      throw isBusy(error) ? refusal(directory, holder) : error;
    }
  }
  writeFileSync(holder, `${process.pid}\n`, { mode: 0o600 });
  return {
    release() {
      if (database.isOpen) database.close();
    },
  };
}

function refusal(directory: string, holder: string): GlasshouseError {
  return new GlasshouseError(
    "conflict",
    `The data directory ${directory} is in use by process ${pidIn(holder)}. Stop that server first, or use another directory.`,
  );
}

function pidIn(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "(unknown)";
  }
}
