import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { GlasshouseError } from "../domain/errors.ts";
import { makeDataDirectory } from "./data-directory.ts";

const root = mkdtempSync(join(tmpdir(), "glasshouse-data-"));
after(() => rmSync(root, { recursive: true, force: true }));

test("makes the directory and those above it for its user alone, also at once and again", async () => {
  const path = join(root, "a/b/c");
  await Promise.all([makeDataDirectory(path), makeDataDirectory(path)]);
  await makeDataDirectory(path);
  for (const each of ["a", "a/b", "a/b/c"])
    assert.equal(statSync(join(root, each)).mode & 0o777, 0o700);
});

test("says which directory cannot be made, why, and what to do", async () => {
  const file = join(root, "file");
  writeFileSync(file, "");
  for (const path of [file, join(file, "below"), join(file, "far/below")])
    await assert.rejects(makeDataDirectory(path), refusal(path));
});

test(
  "ends where the system can hold no directory",
  { skip: !existsSync("/proc/self/stat") && "there is no /proc" },
  async () => {
    for (const path of ["/proc/x", "/proc/x/y/z", `/proc/${process.pid}/keys`])
      await assert.rejects(makeDataDirectory(path), refusal(path));
  },
);

function refusal(path: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof GlasshouseError &&
    error.code === "invalid-configuration" &&
    error.message.startsWith(`The data directory ${path} cannot be made: E`) &&
    error.message.includes("--data");
}
