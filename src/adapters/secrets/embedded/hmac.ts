import { hash } from "node:crypto";

const blockBytes = 64;

/** A key of HMAC-SHA-256, mixed once with the two pads of RFC 2104. */
export interface HmacKey {
  readonly inner: Uint8Array;
  readonly outer: Uint8Array;
}

/** Keys of at most 64 bytes, as derived ones are. */
export function hmacKey(key: Uint8Array): HmacKey {
  if (key.length > blockBytes) throw new RangeError("A key for this is at most 64 bytes long.");
  return { inner: padded(key, 0x36), outer: padded(key, 0x5c) };
}

/**
 * HMAC-SHA-256 in hex, as `createHmac` gives it. Every step asks for one: two plain hashes make no object that the garbage
 * collector has to look after, and cost a third in the midst of other work.
 */
export function hmacOf({ inner, outer }: HmacKey, bytes: Uint8Array): string {
  const first = hash("sha256", Buffer.concat([inner, bytes]), "buffer");
  return hash("sha256", Buffer.concat([outer, first]), "hex");
}

function padded(key: Uint8Array, pad: number): Uint8Array {
  return Uint8Array.from({ length: blockBytes }, (_, at) => (key[at] ?? 0) ^ pad);
}
