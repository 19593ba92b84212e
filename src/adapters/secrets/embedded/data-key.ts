import { createHmac, createSecretKey, hkdfSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import type { ByteSealer, SecretSealer } from "../../../ports/secrets.ts";
import { decrypt, encrypt } from "./cipher.ts";

/** Seals under one data key. Each use has a key of its own, derived from it, so that no use weakens another. */
export class DataKey implements SecretSealer, ByteSealer {
  readonly #values: Uint8Array;
  readonly #bytes: Uint8Array;
  // As key objects: raw bytes are made into one at every call, which costs several times the HMAC.
  readonly #valuePrints: KeyObject;
  readonly #bytePrints: KeyObject;

  constructor(dataKey: Uint8Array) {
    this.#values = derive(dataKey, "values");
    this.#bytes = derive(dataKey, "bytes");
    this.#valuePrints = createSecretKey(derive(dataKey, "value fingerprints"));
    this.#bytePrints = createSecretKey(derive(dataKey, "byte fingerprints"));
  }

  seal(plain: string, context: string): Uint8Array {
    return encrypt(this.#values, Buffer.from(plain, "utf8"), context);
  }

  open(sealed: Uint8Array, context: string): string {
    return Buffer.from(decrypt(this.#values, sealed, context)).toString("utf8");
  }

  fingerprint(text: string): string {
    return createHmac("sha256", this.#valuePrints).update(text, "utf8").digest("hex");
  }

  sealBytes(plain: Uint8Array, context: string): Uint8Array {
    return encrypt(this.#bytes, plain, context);
  }

  openBytes(sealed: Uint8Array, context: string): Uint8Array {
    return decrypt(this.#bytes, sealed, context);
  }

  fingerprintBytes(bytes: Uint8Array): string {
    return createHmac("sha256", this.#bytePrints).update(bytes).digest("hex");
  }
}

/** HKDF-SHA-256 (RFC 5869). */
export function derive(key: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", key, "", `glasshouse ${purpose} v1`, 32));
}
