import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { after, describe, test } from "node:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { pack as tarPack, type Header } from "tar-stream";
import { isError, testSource } from "../../../testing/source-contract.ts";
import { pack, unpack } from "./index.ts";

const root = await mkdtemp(join(tmpdir(), "glasshouse-archive-"));
after(() => rm(root, { recursive: true, force: true }));

type TestEntry = Partial<Header> & { readonly name: string; readonly content?: string };

async function archive(...entries: readonly TestEntry[]): Promise<Buffer> {
  const tar = tarPack();
  const bytes = buffer(tar);
  for (const { content, ...header } of entries)
    if (header.type === undefined || header.type === "file") tar.entry(header, content ?? "");
    else tar.entry(header);
  tar.finalize();
  return gzipSync(await bytes);
}

describe("an archive", () => {
  testSource(async (fill) => {
    const directory = await mkdtemp(join(root, "a"));
    await fill(directory);
    const tar = execFileSync("tar", ["-c", "-C", directory, "."], { maxBuffer: 2 ** 27 });
    return unpack(gzipSync(tar, { level: 1 }));
  });

  test("refuses hostile names of files and links", async () => {
    const hostile: readonly TestEntry[] = [
      { name: "../evil", content: "x" },
      { name: "/etc/evil", content: "x" },
      { name: "a/../../evil", content: "x" },
      { name: "a\nb", content: "x" },
      { name: "link", type: "symlink", linkname: "/etc/passwd" },
      { name: "link", type: "symlink", linkname: "../up" },
      { name: "hard", type: "link", linkname: "/etc/passwd" },
      { name: "hard", type: "link", linkname: "../up" },
      { name: "pipe", type: "fifo" },
      { name: "device", type: "character-device" },
      { name: "disk", type: "block-device" },
    ];
    for (const entry of hostile)
      await assert.rejects(unpack(await archive(entry)), isError("unsafe-path", /./u), entry.name);
  });

  test("refuses writing through a link that it brought itself", async () => {
    const bytes = await archive(
      { name: "a", type: "symlink", linkname: "b" },
      { name: "b/x", content: "x" },
      { name: "a/y", content: "y" },
    );
    await assert.rejects(unpack(bytes), isError("unsafe-path", /twice/u));
  });

  test("refuses the same name twice", async () => {
    const bytes = await archive({ name: "a", content: "1" }, { name: "./a", content: "2" });
    await assert.rejects(unpack(bytes), isError("unsafe-path", /"a" is there twice/u));
  });

  test("takes a hard link to a file before it", async () => {
    const bytes = await archive(
      { name: "./a", content: "same", mode: 0o755 },
      { name: "./b", type: "link", linkname: "./a" },
    );
    assert.deepEqual(
      (await unpack(bytes)).files.map(({ path, mode }) => [path, mode]),
      [
        ["a", 0o755],
        ["b", 0o755],
      ],
    );
  });

  test("refuses what unpacks to far more than it is, without unpacking it all", async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024), { level: 1 });
    assert.ok(bomb.length < 2 * 1024 * 1024);
    await assert.rejects(unpack(bomb), isError("too-large", /unpacks to more/u));
  });

  test("refuses an entry by the size it announces, before that is there", async () => {
    const tar = Buffer.alloc(1024);
    const full = await archive({ name: "big", content: "x" });
    const header = gunzipSync(full).subarray(0, 512);
    header.write("77777777777\0", 124, "ascii");
    header.write("        ", 148, "ascii");
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "ascii");
    header.copy(tar);
    await assert.rejects(unpack(gzipSync(tar)), isError("too-large", /"big"/u));
  });

  test("refuses more than 5,000 files", async () => {
    const entries = Array.from({ length: 5_001 }, (_, at) => ({ name: `many/${at}` }));
    await assert.rejects(unpack(await archive(...entries)), isError("too-large", /5000 files/u));
    assert.equal((await unpack(await archive(...entries.slice(1)))).files.length, 5_000);
  });

  test("refuses what is too large packed", async () => {
    await assert.rejects(
      unpack(new Uint8Array(16 * 1024 * 1024 + 1)),
      isError("too-large", /16777216/u),
    );
  });

  test("refuses what is no tar.gz, or only the beginning of one", async () => {
    const whole = await archive({ name: "a", content: "x".repeat(5_000) });
    for (const bytes of [
      Buffer.from("hello"),
      gzipSync("hello".repeat(500)),
      whole.subarray(0, whole.length - 20),
      gzipSync(gunzipSync(whole).subarray(0, 700)),
      new Uint8Array(),
    ])
      await assert.rejects(unpack(bytes), isError("invalid-request", /not a tar\.gz/u));
  });

  test("holds what was packed, the same bytes whatever the order", async () => {
    const files = [
      { path: "b", mode: 0o755, bytes: Buffer.from("run") },
      { path: `${"long/".repeat(40)}ä`, mode: 0o644, bytes: Buffer.from("") },
      { path: "a", mode: 0o644, bytes: Buffer.from("text") },
    ];
    const packed = await pack(files);
    assert.deepEqual(await pack(files.toReversed()), packed);
    assert.deepEqual((await unpack(packed)).files, [files[2], files[0], files[1]]);
  });
});
