import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { hmacKey, hmacOf } from "./hmac.ts";

test("The HMAC is the one of OpenSSL, whatever the key and the text", () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), bytes, (key, text) => {
      const expected = createHmac("sha256", key).update(text).digest("hex");
      assert.equal(hmacOf(hmacKey(key), text), expected);
    }),
  );
});

test("A key that HMAC would have to shorten first is refused", () => {
  assert.throws(() => hmacKey(new Uint8Array(65)), RangeError);
});
