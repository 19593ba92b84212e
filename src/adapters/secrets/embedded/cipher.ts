import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { GlasshouseError } from "../../../domain/errors.ts";

const version = 1;
const nonceBytes = 12;
const tagBytes = 16;
const headBytes = 1 + nonceBytes + tagBytes;

/** AES-256-GCM: one version byte, a fresh nonce, the tag, then the encrypted bytes. `context` is authenticated with them. */
export function encrypt(key: Uint8Array, plain: Uint8Array, context: string): Uint8Array {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(context, "utf8"));
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([Uint8Array.of(version), nonce, cipher.getAuthTag(), body]);
}

/** Errors: `internal` when anything is not as it was encrypted. */
export function decrypt(key: Uint8Array, sealed: Uint8Array, context: string): Uint8Array {
  try {
    if (sealed.length < headBytes || sealed[0] !== version) throw new Error("unknown form");
    const nonce = sealed.subarray(1, 1 + nonceBytes);
    const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: tagBytes });
    decipher.setAAD(Buffer.from(context, "utf8"));
    decipher.setAuthTag(sealed.subarray(1 + nonceBytes, headBytes));
    return Buffer.concat([decipher.update(sealed.subarray(headBytes)), decipher.final()]);
  } catch (cause) {
    throw new GlasshouseError(
      "internal",
      "A sealed value cannot be opened: it was changed, moved to another owner, or sealed under another key.",
      { cause },
    );
  }
}
