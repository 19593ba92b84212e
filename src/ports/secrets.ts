/**
 * Seals values under the data key. The store keeps sealed bytes only; opening happens just in time, in the process that
 * needs the plain value. Synchronous: these are a few microseconds of cryptography, no I/O after start.
 */
export interface SecretSealer {
  /** AES-256-GCM with a fresh nonce; `context` (the owner's id and name) is authenticated, so a row cannot be moved to another owner. */
  seal(plain: string, context: string): Uint8Array;
  /** Errors: `internal` when the bytes or the context are not those that were sealed. */
  open(sealed: Uint8Array, context: string): string;
  /** HMAC-SHA-256 under the data key, hex. Equal values give equal fingerprints; nothing else can be learnt. */
  fingerprint(text: string): string;
}

/** Seals bytes under the data key: for blobs. */
export interface ByteSealer {
  /** As `SecretSealer.seal`, for bytes. */
  sealBytes(plain: Uint8Array, context: string): Uint8Array;
  /** Errors: `internal` when the bytes or the context are not those that were sealed. */
  openBytes(sealed: Uint8Array, context: string): Uint8Array;
  /** HMAC-SHA-256 under the data key, hex; never equal to the `fingerprint` of the same text. */
  fingerprintBytes(bytes: Uint8Array): string;
}
