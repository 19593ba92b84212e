import { writeSync } from "node:fs";

/** How long a reader that does not keep up is waited for before it is tried again. */
const pauseMs = 10;

/**
 * Writes a text to an open file before it returns, all of it: a pipe whose reader is slow takes some, or nothing for now. What
 * cannot be written at all (nobody reads any more, the disk is full) is lost: a line of the log ends no service.
 */
export function writeWhole(descriptor: number, text: string): void {
  let rest = Buffer.from(text, "utf8");
  while (rest.length > 0) {
    const written = writeSome(descriptor, rest);
    if (written === "never") return;
    if (written === "later") Atomics.wait(sleeper, 0, 0, pauseMs);
    else rest = rest.subarray(written);
  }
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
