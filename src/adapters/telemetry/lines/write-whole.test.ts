import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { describe, test } from "node:test";
import { writeWhole } from "./write-whole.ts";

const here = JSON.stringify(join(import.meta.dirname, "write-whole.ts"));

describe("a text that is written whole", () => {
  test("is in the file when the call returns, with what was there", (context) => {
    const directory = mkdtempSync(join(tmpdir(), "glasshouse-lines-"));
    context.after(() => rmSync(directory, { recursive: true }));
    const file = join(directory, "log");
    const descriptor = openSync(file, "a");
    writeWhole(descriptor, "one\n", 0);
    writeWhole(descriptor, "zwei – drei\n", 0);
    assert.equal(readFileSync(file, "utf8"), "one\nzwei – drei\n");
    closeSync(descriptor);
  });

  test("waits for a reader that is slower than a pipe that does not wait", async () => {
    // A megabyte is more than a pipe holds; Node makes the pipes of its children's stderr so that they do not wait.
    const child = spawn(
      process.execPath,
      [
        "-e",
        `process.stderr; import(${here}).then(({ writeWhole }) => { writeWhole(2, "x".repeat(1_000_000), 600_000); process.exit(0); })`,
      ],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    let length = 0;
    setTimeout(() => {
      child.stderr.on("data", (chunk: Buffer) => (length += chunk.length));
    }, 50);
    await once(child, "close");
    assert.equal(length, 1_000_000);
  });

  test("is given up when nobody reads any more", () => {
    const descriptor = openSync("/dev/full", "a");
    assert.equal(writeWhole(descriptor, "lost\n", 0), 0);
    closeSync(descriptor);
  });
});
