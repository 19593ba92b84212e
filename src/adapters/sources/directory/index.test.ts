import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { isError, put, testSource, testSourceLimits } from "../../../testing/source-contract.ts";
import { readDirectory } from "./index.ts";

const root = await mkdtemp(join(tmpdir(), "glasshouse-directory-"));
after(() => rm(root, { recursive: true, force: true }));

const newFolder = (): Promise<string> => mkdtemp(join(root, "f"));

async function readFilled(fill: (directory: string) => Promise<void>) {
  const directory = await newFolder();
  await fill(directory);
  return readDirectory(directory);
}

describe("a local folder", () => {
  testSource(readFilled);
  testSourceLimits(readFilled);

  test("may itself be reached through a link", async () => {
    const directory = await newFolder();
    await put(directory, "a", "x");
    await symlink(directory, `${directory}-link`);
    assert.equal((await readDirectory(`${directory}-link`)).files.length, 1);
  });

  test("that is not there, or is a file, is named in the error", async () => {
    const directory = await newFolder();
    await assert.rejects(
      readDirectory(join(directory, "no")),
      isError("not-found", /folder.*no\./u),
    );
    await put(directory, "file", "x");
    await assert.rejects(
      readDirectory(join(directory, "file")),
      isError("invalid-request", /file/u),
    );
  });

  test("with a named pipe is refused without waiting for it", async () => {
    const directory = await newFolder();
    execFileSync("mkfifo", [join(directory, "pipe")]);
    await assert.rejects(readDirectory(directory), isError("unsafe-path", /"pipe" is neither/u));
  });
});
