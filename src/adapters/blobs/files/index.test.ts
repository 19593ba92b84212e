import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { globSync } from "node:fs";
import { mkdir, mkdtemp, open, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { ByteSealer } from "../../../ports/secrets.ts";
import { testBlobs } from "../../../testing/blob-contract.ts";
import { FileBlobs } from "./index.ts";

const root = await mkdtemp(join(tmpdir(), "glasshouse-blobs-"));
after(() => rm(root, { recursive: true, force: true }));

/** Not a cipher, but it shows whether content and context are handed over. */
const sealer: ByteSealer = {
  sealBytes: (plain, context) =>
    Buffer.concat([Buffer.from(`${context}\n`), plain.map((byte) => byte ^ 0xff)]),
  openBytes: (sealed, context) => {
    const head = Buffer.from(`${context}\n`);
    if (!Buffer.from(sealed).subarray(0, head.length).equals(head)) throw new Error("context");
    return Uint8Array.from(sealed.subarray(head.length)).map((byte) => byte ^ 0xff);
  },
  fingerprintBytes: (bytes) => createHash("sha256").update("key").update(bytes).digest("hex"),
};

let count = 0;
function newDirectory(): string {
  count += 1;
  return join(root, String(count));
}

function isDamaged(error: unknown): boolean {
  return (
    error instanceof GlasshouseError && error.code === "internal" && /damaged/u.test(error.message)
  );
}

const directories = new WeakMap<object, string>();

describe("blobs as files", () => {
  testBlobs({
    open: async () => {
      const directory = newDirectory();
      const store = await FileBlobs.open(directory, sealer);
      directories.set(store, directory);
      return store;
    },
    reopen: (store) => FileBlobs.open(directories.get(store) ?? "", sealer),
  });

  test("lie below the first two letters of their digest, readable by their owner only", async () => {
    const directory = newDirectory();
    const store = await FileBlobs.open(directory, sealer);
    const digest = await store.put(Buffer.from("x"));
    const path = join(directory, digest.slice(0, 2), digest.slice(2));
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.equal((await stat(directory)).mode & 0o777, 0o700);
  });

  test("are never in the clear when they are sealed", async () => {
    const directory = newDirectory();
    const store = await FileBlobs.open(directory, sealer);
    await store.putSealed(Buffer.from("plain words"));
    for (const file of globSync("**/*", { cwd: directory, withFileTypes: true }))
      if (file.isFile())
        assert.doesNotMatch(await readFile(join(file.parentPath, file.name), "latin1"), /plain/u);
  });

  test("are refused when they were damaged, plain and sealed", async () => {
    const directory = newDirectory();
    const store = await FileBlobs.open(directory, sealer);
    const plain = await store.put(Buffer.from("abc"));
    const sealed = await store.putSealed(Buffer.from("abc"));
    await writeFile(join(directory, plain.slice(0, 2), plain.slice(2)), "abX");
    await writeFile(join(directory, sealed.slice(0, 2), `${sealed.slice(2)}.sealed`), "abX");
    await assert.rejects(store.get(plain), isDamaged);
    await assert.rejects(store.get(sealed), isDamaged);
  });

  test("are written anew when a file was cut short", async () => {
    const directory = newDirectory();
    const store = await FileBlobs.open(directory, sealer);
    const digest = await store.put(Buffer.from("abcdef"));
    await writeFile(join(directory, digest.slice(0, 2), digest.slice(2)), "abc");
    assert.equal(await store.put(Buffer.from("abcdef")), digest);
    assert.equal(Buffer.from(await store.get(digest)).toString(), "abcdef");
  });

  test("count as put at the time of the last put", async () => {
    const directory = newDirectory();
    const store = await FileBlobs.open(directory, sealer);
    const digest = await store.put(Buffer.from("x"));
    const path = join(directory, digest.slice(0, 2), digest.slice(2));
    await utimes(path, 1_000, 1_000);
    await store.put(Buffer.from("x"));
    assert.ok(Date.now() - (await stat(path)).mtimeMs < 10_000);
  });

  test("leave nothing half-written behind after a crash", async () => {
    const directory = newDirectory();
    await mkdir(join(directory, "tmp"), { recursive: true });
    const left = join(directory, "tmp/left");
    await writeFile(left, "half");
    await utimes(left, 1_000, 1_000);
    await writeFile(join(directory, "tmp/young"), "another process");
    await FileBlobs.open(directory, sealer);
    await assert.rejects(stat(left));
    await stat(join(directory, "tmp/young"));
  });

  test("refuse new content by storage-full when the disk is full, and keep what is there", async (t) => {
    const directory = newDirectory();
    const store = await FileBlobs.open(directory, sealer);
    const kept = await store.put(Buffer.from("kept"));
    const handle = await open(join(directory, "any"), "w");
    t.mock.method(Object.getPrototypeOf(handle), "sync", async () => {
      throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    });
    await handle.close();
    const ways = [
      (): Promise<string> => store.put(Buffer.from("new")),
      (): Promise<string> => store.putSealed(Buffer.from("new")),
    ];
    for (const put of ways)
      await assert.rejects(
        put(),
        (error) => error instanceof GlasshouseError && error.code === "storage-full",
      );
    assert.equal(Buffer.from(await store.get(kept)).toString(), "kept");
    assert.deepEqual(globSync("tmp/*", { cwd: directory }), []);
  });
});
