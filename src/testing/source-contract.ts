import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { chmod, mkdir, symlink, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { GlasshouseError, type ErrorCode } from "../domain/errors.ts";
import type { SourceTree } from "../ports/source.ts";

/** How a source is fed: `fill` puts a template's files into a new folder, the result is what the source made of it. */
export type ReadFilled = (fill: (directory: string) => Promise<void>) => Promise<SourceTree>;

/** What every source must do with the files of a folder. */
export function testSource(read: ReadFilled): void {
  test("gives files with their content and whether they may be executed, by path", async () => {
    const { files } = await read(async (directory) => {
      await put(directory, "template.yaml", "name: x\n");
      await put(directory, "web/up", { text: "#!/bin/sh\n", mode: 0o755 });
      await put(directory, "web/täxt file", "");
    });
    assert.deepEqual(
      files.map(({ path, mode, bytes }) => [path, mode, Buffer.from(bytes).toString()]),
      [
        ["template.yaml", 0o644, "name: x\n"],
        ["web/täxt file", 0o644, ""],
        ["web/up", 0o755, "#!/bin/sh\n"],
      ],
    );
  });

  test("leaves out state and history", async () => {
    const { files } = await read(async (directory) => {
      await put(directory, "main.tf", "");
      await put(directory, "network/.terraform/providers/big", "binary");
      await put(directory, "network/terraform.tfstate", "{}");
      await put(directory, "network/terraform.tfstate.backup", "{}");
    });
    assert.deepEqual(
      files.map((file) => file.path),
      ["main.tf"],
    );
  });

  test("copies what a link inside the folder points to", async () => {
    const { files } = await read(async (directory) => {
      await put(directory, "common/versions.tf", "v");
      await put(directory, "web/main.tf", "m");
      await symlink("../common/versions.tf", join(directory, "web/versions.tf"));
    });
    assert.deepEqual(
      files.map((file) => [file.path, Buffer.from(file.bytes).toString()]),
      [
        ["common/versions.tf", "v"],
        ["web/main.tf", "m"],
        ["web/versions.tf", "v"],
      ],
    );
  });

  for (const target of ["/etc/passwd", "../../outside", "missing"])
    test(`refuses a link to ${target}`, async () => {
      await assert.rejects(
        read(async (directory) => {
          await put(directory, "web/main.tf", "m");
          await symlink(target, join(directory, "web/link"));
        }),
        isError("unsafe-path", /web\/link/u),
      );
    });

  test("refuses names that are one on other file systems", async () => {
    await assert.rejects(
      read(async (directory) => {
        await put(directory, "a/Main.tf", "1");
        await put(directory, "a/main.tf", "2");
      }),
      isError("unsafe-path", /case/u),
    );
  });
}

/** What every source must do with too much; `read` as above. */
export function testSourceLimits(read: ReadFilled): void {
  test("refuses more than 5,000 files", async () => {
    await assert.rejects(
      read(async (directory) => {
        await mkdir(join(directory, "many"), { recursive: true });
        for (let n = 0; n <= 5_000; n += 1) writeFileSync(join(directory, "many", String(n)), "");
      }),
      isError("too-large", /5000 files/u),
    );
  });

  test("refuses more than 64 MiB", async () => {
    await assert.rejects(
      read(async (directory) => {
        await writeFile(join(directory, "one"), "");
        await writeFile(join(directory, "two"), "");
        for (const name of ["one", "two"]) await truncate(join(directory, name), 33 * 1024 * 1024);
      }),
      isError("too-large", /67108864/u),
    );
  });
}

export type Content = string | { readonly text: string; readonly mode: number };

export async function put(directory: string, path: string, content: Content): Promise<void> {
  const { text, mode } = typeof content === "string" ? { text: content, mode: 0o644 } : content;
  const file = join(directory, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  await chmod(file, mode);
}

export function isError(code: ErrorCode, words: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof GlasshouseError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    return true;
  };
}
