import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { GlasshouseError } from "../domain/errors.ts";

/**
 * Makes a directory of the server's data, for its user alone, with those above it. Safe to repeat. Errors:
 * `invalid-configuration` when there can be none, or what is there is none.
 */
export async function makeDataDirectory(path: string): Promise<void> {
  try {
    await make(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GlasshouseError(
      "invalid-configuration",
      `The data directory ${path} cannot be made: ${reason}. Name one on a disk that this user may write to (\`--data\`, or \`data\` in the configuration file).`,
      { cause },
    );
  }
}

/**
 * One by one: Node's own recursive form never returns where the system says "no such file" of a place that can hold none, as
 * /proc does. Here what the system says with the one above it there counts.
 */
async function make(path: string): Promise<void> {
  try {
    return await makeOne(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
  if (!(await isThere(dirname(path)))) await make(dirname(path));
  await makeOne(path);
}

async function makeOne(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== "EEXIST" || !(await stat(path)).isDirectory()) throw error;
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
