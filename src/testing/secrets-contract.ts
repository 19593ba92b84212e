import assert from "node:assert/strict";
import { test } from "node:test";
import { GlasshouseError } from "../domain/errors.ts";
import type { ByteSealer, SecretSealer } from "../ports/secrets.ts";

/** What every sealer must do. `open` gives the same key each time, `other` one of another installation. */
export function testSealers(
  open: () => Promise<SecretSealer & ByteSealer>,
  other: () => Promise<SecretSealer & ByteSealer>,
): void {
  test("opens what it sealed, also after a restart", async () => {
    const sealed = (await open()).seal("päss\u0000word", "env_1/token");
    assert.equal((await open()).open(sealed, "env_1/token"), "päss\u0000word");
  });

  test("seals the same value differently each time and never in the clear", async () => {
    const sealer = await open();
    const one = sealer.seal("a-long-secret-value", "c");
    assert.notDeepEqual(sealer.seal("a-long-secret-value", "c"), one);
    assert.equal(Buffer.from(one).includes("a-long-secret-value"), false);
  });

  test("refuses a sealed value under another context", async () => {
    const sealer = await open();
    const sealed = sealer.seal("v", "env_1/token");
    assert.throws(() => sealer.open(sealed, "env_2/token"), isInternal);
  });

  test("refuses a sealed value with any changed byte, and one cut short", async () => {
    const sealer = await open();
    const sealed = sealer.seal("value", "c");
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Uint8Array.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      assert.throws(() => sealer.open(changed, "c"), isInternal);
      assert.throws(() => sealer.open(sealed.subarray(0, at), "c"), isInternal);
    }
  });

  test("refuses what another installation sealed", async () => {
    const sealed = (await other()).seal("v", "c");
    const mine = await open();
    assert.throws(() => mine.open(sealed, "c"), isInternal);
  });

  test("gives equal fingerprints to equal texts under one key only", async () => {
    const sealer = await open();
    assert.equal(sealer.fingerprint("x"), (await open()).fingerprint("x"));
    assert.notEqual(sealer.fingerprint("x"), sealer.fingerprint("y"));
    assert.notEqual(sealer.fingerprint("x"), (await other()).fingerprint("x"));
    assert.match(sealer.fingerprint("x"), /^[0-9a-f]{64}$/u);
  });

  test("seals bytes apart from values", async () => {
    const sealer = await open();
    const bytes = Uint8Array.of(0, 255, 10, 13);
    const sealed = sealer.sealBytes(bytes, "c");
    assert.deepEqual(Uint8Array.from(sealer.openBytes(sealed, "c")), bytes);
    assert.throws(() => sealer.open(sealed, "c"), isInternal);
    assert.throws(() => sealer.openBytes(sealed, "d"), isInternal);
    assert.notEqual(sealer.fingerprintBytes(Buffer.from("x")), sealer.fingerprint("x"));
    assert.notEqual(
      sealer.fingerprintBytes(Buffer.from("x")),
      (await other()).fingerprintBytes(Buffer.from("x")),
    );
  });
}

function isInternal(error: unknown): boolean {
  return error instanceof GlasshouseError && error.code === "internal";
}
