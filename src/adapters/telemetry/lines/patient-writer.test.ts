import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { patientWriter } from "./patient-writer.ts";

/** A pipe that does not wait, as Node makes stderr's. */
function pipe(context: TestContext): { readonly into: number; readonly read: () => string } {
  const directory = mkdtempSync(join(tmpdir(), "glasshouse-lines-"));
  const path = join(directory, "pipe");
  execFileSync("mkfifo", [path]);
  const from = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const into = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  context.after(() => {
    closeSync(from);
    closeSync(into);
    rmSync(directory, { recursive: true });
  });
  const room = Buffer.alloc(1_048_576);
  return { into, read: () => room.toString("utf8", 0, readSync(from, room)) };
}

const tell = (lost: number): string => `${lost} lost\n`;

describe("a writer of lines that nobody reads", () => {
  test("goes on, and says how many were lost when somebody reads again", (context) => {
    const { into, read } = pipe(context);
    const write = patientWriter(into, tell, 20);
    const line = `${"x".repeat(1_023)}\n`;
    for (let at = 0; at < 200; at += 1) write(line);
    const kept = read().split("\n").length - 1;
    assert.ok(kept > 0 && kept < 200);
    write("first\n");
    write("second\n");
    assert.equal(read(), `${200 - kept} lost\nfirst\nsecond\n`);
  });

  test("begins a line of its own after one that was cut", (context) => {
    const { into, read } = pipe(context);
    const write = patientWriter(into, tell, 0);
    write(`${"x".repeat(1_000_000)}\n`);
    assert.match(read(), /^x+$/u);
    write("next\n");
    assert.equal(read(), "\n1 lost\nnext\n");
  });
});
