import { closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

/** Long work on the database file, away from the event loop. Answers null or, in words, what is wrong. */
const task: unknown = workerData;
parentPort?.postMessage(answer(task), []);

function answer(asked: unknown): string | null {
  if (typeof asked !== "object" || asked === null || !("file" in asked)) return "no task was given";
  const { file } = asked;
  if (typeof file !== "string") return "no file was given";
  try {
    if ("target" in asked && typeof asked.target === "string") return copy(file, asked.target);
    return problems(file, "quick_check");
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Copies a consistent snapshot, checks the copy and only then gives it its name. */
function copy(file: string, target: string): string | null {
  const part = `${target}.part`;
  rmSync(part, { force: true });
  const database = new DatabaseSync(file, { readOnly: true, timeout: 10_000 });
  try {
    database.prepare("vacuum into ?").run(part);
  } finally {
    database.close();
  }
  const wrong = problems(part, "integrity_check");
  if (wrong !== null) {
    rmSync(part, { force: true });
    return `the copy is damaged: ${wrong}`;
  }
  flush(part);
  renameSync(part, target);
  flush(dirname(target));
  return null;
}

function problems(file: string, check: "quick_check" | "integrity_check"): string | null {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 10_000 });
  try {
    const rows = database.prepare(`pragma ${check}(5)`).all();
    const found = rows.map((row) => String(row[check])).filter((text) => text !== "ok");
    return found.length === 0 ? null : found.join("; ");
  } finally {
    database.close();
  }
}

function flush(path: string): void {
  const descriptor = openSync(path, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
