import type { OwnedSecret, SecretDeclaration } from "../domain/secret.ts";
import type { SealedSecret } from "./repositories.ts";

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

/** Which declared secret or certificate of which environment. */
export type SecretPlace = Pick<OwnedSecret, "environmentId" | "template" | "name">;

/** A version of a declared secret that is to be made. */
export interface SecretOrder extends SecretPlace {
  readonly declaration: Pick<SecretDeclaration, "length" | "charset" | "policy" | "from">;
  /** From 1; one more than the newest that is known. */
  readonly version: number;
  /** The newest version that this keeper has made for the place, or null. */
  readonly previous: SealedSecret | null;
  readonly signal: AbortSignal;
}

/** What is stored of a version that was made: never the value in plain. */
export type MadeSecret = Pick<SealedSecret, "sealed" | "fingerprint">;

export type SecretParts = Readonly<Record<string, string>>;

/**
 * Where the values of declared secrets live. What `make` gives is recorded in the transaction that ends its step; until then
 * nobody has seen the value. Errors: `unavailable` and other transient ones while the keeper cannot be reached.
 */
export interface SecretKeeper {
  readonly name: string;
  /** It acts before what it did is recorded: that something may be there is recorded first. */
  readonly isOutside: boolean;
  /**
   * Makes the version, or finds it made: asked again for a place and version, also after a kill, it never leaves a second
   * value in use.
   */
  make(order: SecretOrder): Promise<MadeSecret>;
  /** What it holds, just in time: the `value`, or a certificate by its parts. */
  open(secret: SealedSecret): Promise<SecretParts>;
  /** Takes every version away. What is gone already is no error. */
  remove(place: SecretPlace, signal: AbortSignal): Promise<void>;
}
