import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { GlasshouseError } from "../domain/errors.ts";
import type { BlobStore } from "../ports/blob.ts";

/** What every blob store must do. `open` gives a new, empty one; `reopen` the same one after a restart. */
export function testBlobs(stores: {
  readonly open: () => Promise<BlobStore>;
  readonly reopen: (store: BlobStore) => Promise<BlobStore>;
}): void {
  const text = Buffer.from("some content, also with \u0000");

  test("gives back what was put, under its SHA-256, also after a restart", async () => {
    const store = await stores.open();
    const digest = await store.put(text);
    assert.equal(digest, createHash("sha256").update(text).digest("hex"));
    assert.deepEqual(Buffer.from(await store.get(digest)), text);
    const again = await stores.reopen(store);
    assert.deepEqual(Buffer.from(await again.get(digest)), text);
  });

  test("keeps empty content", async () => {
    const store = await stores.open();
    assert.equal((await store.get(await store.put(new Uint8Array()))).length, 0);
    assert.equal((await store.get(await store.putSealed(new Uint8Array()))).length, 0);
  });

  test("gives sealed content back under a name that says nothing about it", async () => {
    const store = await stores.open();
    const digest = await store.putSealed(text);
    assert.notEqual(digest, createHash("sha256").update(text).digest("hex"));
    assert.deepEqual(Buffer.from(await store.get(digest)), text);
    const again = await stores.reopen(store);
    assert.deepEqual(Buffer.from(await again.get(digest)), text);
    assert.equal(await again.putSealed(text), digest);
  });

  test("takes the same content again, also at once", async () => {
    const store = await stores.open();
    const digests = await Promise.all(Array.from({ length: 8 }, () => store.put(text)));
    assert.equal(new Set(digests).size, 1);
    assert.equal((await listed(store)).length, 1);
  });

  test("forgets what is removed and ignores what it does not know", async () => {
    const store = await stores.open();
    const plain = await store.put(text);
    const sealed = await store.putSealed(text);
    for (const digest of [plain, sealed]) {
      assert.equal(await store.has(digest), true);
      await store.remove(digest);
      await store.remove(digest);
      assert.equal(await store.has(digest), false);
      await assert.rejects(store.get(digest), isNotFound);
    }
  });

  test("lists every digest with the time it was last put", async () => {
    const store = await stores.open();
    const beforeMs = Date.now() - 2_000;
    const digests = [await store.put(text), await store.putSealed(text)];
    const found = await listed(store);
    assert.deepEqual(found.map(({ digest }) => digest).toSorted(), digests.toSorted());
    for (const { putAtMs } of found)
      assert.ok(putAtMs >= beforeMs && putAtMs <= Date.now() + 2_000, String(putAtMs));
  });

  test("does not take a path for a digest", async () => {
    const store = await stores.open();
    await assert.rejects(store.get("../../etc/passwd"), isNotFound);
  });
}

async function listed(store: BlobStore): Promise<{ digest: string; putAtMs: number }[]> {
  const found: { digest: string; putAtMs: number }[] = [];
  for await (const entry of store.list()) found.push(entry);
  return found;
}

function isNotFound(error: unknown): boolean {
  return error instanceof GlasshouseError && error.code === "not-found";
}
