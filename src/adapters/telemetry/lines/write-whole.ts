import { writeSync } from "node:fs";

/** How long a reader that does not keep up is left alone before it is tried again. */
const pauseMs = 10;

/**
 * Writes a text to an open file before it returns: a pipe whose reader is slow takes some, or nothing for now, and is waited for
 * `waitMs` at most. Returns how many bytes are left then. What cannot be written at all (nobody reads any more, the disk is
 * full) is lost and does not count as left: a line of the log ends no service.
 */
export function writeWhole(descriptor: number, text: string, waitMs: number): number {
  let rest = Buffer.from(text, "utf8");
  let waitedMs = 0;
  while (rest.length > 0) {
    const written = writeSome(descriptor, rest);
    if (written === "never") return 0;
    if (written !== "later") {
      rest = rest.subarray(written);
      continue;
    }
    if (waitedMs >= waitMs) return rest.length;
    Atomics.wait(sleeper, 0, 0, pauseMs);
    waitedMs += pauseMs;
  }
  return 0;
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

function writeSome(descriptor: number, bytes: Buffer): number | "later" | "never" {
  try {
    return writeSync(descriptor, bytes);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    return code === "EAGAIN" || code === "EBUSY" ? "later" : "never";
  }
}
