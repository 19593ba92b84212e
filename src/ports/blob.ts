/**
 * Content-addressed bytes: template files, states, plans. A digest that `put` returned stays readable until `remove`.
 * Putting the same bytes again is safe and cheap. Bytes are durable (synced) before `put` resolves.
 */
export interface BlobStore {
  /** Keeps bytes in the clear. Returns their SHA-256 in hex. Errors: `storage-full`. */
  put(bytes: Uint8Array): Promise<string>;
  /** Keeps bytes encrypted (AES-256-GCM under the data key). Returns an HMAC of them, which says nothing about the content. */
  putSealed(bytes: Uint8Array): Promise<string>;
  /** The bytes, decrypted where they were sealed and verified against the digest. Errors: `not-found`, `internal` when damaged. */
  get(digest: string): Promise<Uint8Array>;
  has(digest: string): Promise<boolean>;
  /** Forgets the bytes. Unknown digests are ignored. */
  remove(digest: string): Promise<void>;
  /** Every digest with the time it was last put (ms since 1970), for retention. */
  list(): AsyncIterable<{ readonly digest: string; readonly putAtMs: number }>;
}
