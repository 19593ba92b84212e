import { hkdfSync } from "node:crypto";
import type { ByteSealer, SecretSealer } from "../../../ports/secrets.ts";
import { decrypt, encrypt } from "./cipher.ts";
import { hmacKey, hmacOf, type HmacKey } from "./hmac.ts";

/** Seals under one data key. Each use has a key of its own, derived from it, so that no use weakens another. */
export class DataKey implements SecretSealer, ByteSealer {
  readonly #values: Uint8Array;
  readonly #bytes: Uint8Array;
  readonly #valuePrints: HmacKey;
  readonly #bytePrints: HmacKey;

  constructor(dataKey: Uint8Array) {
    this.#values = derive(dataKey, "values");
    this.#bytes = derive(dataKey, "bytes");
    this.#valuePrints = hmacKey(derive(dataKey, "value fingerprints"));
    this.#bytePrints = hmacKey(derive(dataKey, "byte fingerprints"));
  }

  seal(plain: string, context: string): Uint8Array {
    return encrypt(this.#values, Buffer.from(plain, "utf8"), context);
  }

  open(sealed: Uint8Array, context: string): string {
    return Buffer.from(decrypt(this.#values, sealed, context)).toString("utf8");
  }

  fingerprint(text: string): string {
    return hmacOf(this.#valuePrints, Buffer.from(text, "utf8"));
  }

  sealBytes(plain: Uint8Array, context: string): Uint8Array {
    return encrypt(this.#bytes, plain, context);
  }

  openBytes(sealed: Uint8Array, context: string): Uint8Array {
    return decrypt(this.#bytes, sealed, context);
  }

  fingerprintBytes(bytes: Uint8Array): string {
    return hmacOf(this.#bytePrints, bytes);
  }
}

/** HKDF-SHA-256 (RFC 5869). */
export function derive(key: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", key, "", `glasshouse ${purpose} v1`, 32));
}
