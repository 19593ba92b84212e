import { once } from "node:events";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Connection } from "./connection.ts";

/** Backups from before migrations that are kept. */
const backupsKept = 3;

/** A thread that reads the whole database file for damage. `stop` ends it early; then its answer is null. */
export interface Examination {
  /** What is wrong, or null. Never rejects. */
  readonly result: Promise<string | null>;
  stop(): Promise<void>;
}

/** Runs `PRAGMA quick_check` in a thread, after a while. It does not keep the process alive. */
export function examine(file: string, afterMs: number): Examination {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  let worker: Worker | null = null;
  const timer = setTimeout(() => {
    worker = start({ file });
    worker.unref();
    answerOf(worker).then(resolve, (error: unknown) => resolve(String(error)));
  }, afterMs);
  timer.unref();
  return {
    result: promise,
    async stop() {
      clearTimeout(timer);
      resolve(null);
      await worker?.terminate();
    },
  };
}

/** Writes a checked copy of the database in a thread, while work goes on. Errors: `internal` with what went wrong. */
export async function backUp(file: string, target: string): Promise<void> {
  const wrong = await answerOf(start({ file, target }));
  if (wrong === null) return;
  throw new GlasshouseError("internal", `The backup to ${target} failed: ${wrong}.`);
}

/** Copies the database before its schema is changed; the oldest copies beyond three go. Blocks; for the start only. */
export function backUpBeforeMigration(
  connection: Connection,
  directory: string,
  name: string,
): void {
  const folder = join(directory, "backups");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const target = join(folder, `${name}.db`);
  rmSync(target, { force: true });
  connection.change("vacuum into ?", [target]);
  const kept = readdirSync(folder)
    .filter((file) => file.endsWith(".db"))
    .sort();
  for (const old of kept.slice(0, -backupsKept)) rmSync(join(folder, old), { force: true });
}

function start(task: { readonly file: string; readonly target?: string }): Worker {
  return new Worker(new URL("./maintenance-thread.ts", import.meta.url), { workerData: task });
}

async function answerOf(worker: Worker): Promise<string | null> {
  const ended = once(worker, "exit").then(() => ["the thread ended without an answer"]);
  const [answer]: readonly unknown[] = await Promise.race([once(worker, "message"), ended]);
  return typeof answer === "string" ? answer : null;
}
