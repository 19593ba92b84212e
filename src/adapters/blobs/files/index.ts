import { createHash, randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, opendir, readFile, rename, rm, stat, unlink, utimes } from "node:fs/promises";
import { join } from "node:path";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { BlobStore } from "../../../ports/blob.ts";
import type { ByteSealer } from "../../../ports/secrets.ts";

const digestPattern = /^[0-9a-f]{64}$/u;
const sealedSuffix = ".sealed";
/** What a crash left half-written is removed at the next start, unless another process may still be writing it. */
const staleTemporaryMs = 3_600_000;

/**
 * Blobs as files `ab/cdef…` below one directory; sealed ones end in `.sealed`. A file appears under its name only when
 * its bytes are on the disk.
 */
export class FileBlobs implements BlobStore {
  readonly #directory: string;
  readonly #temporary: string;
  readonly #sealer: ByteSealer;

  private constructor(directory: string, sealer: ByteSealer) {
    this.#directory = directory;
    this.#temporary = join(directory, "tmp");
    this.#sealer = sealer;
  }

  /** Makes the directory when it is not there, and removes what an earlier crash left half-written. */
  static async open(directory: string, sealer: ByteSealer): Promise<FileBlobs> {
    const blobs = new FileBlobs(directory, sealer);
    await translated(directory, async () => {
      await mkdir(blobs.#temporary, { recursive: true, mode: 0o700 });
      await removeStale(blobs.#temporary);
    });
    return blobs;
  }

  async put(bytes: Uint8Array): Promise<string> {
    const digest = sha256(bytes);
    await this.#write(digest, bytes, "");
    return digest;
  }

  async putSealed(bytes: Uint8Array): Promise<string> {
    const digest = this.#sealer.fingerprintBytes(bytes);
    const sealed = this.#sealer.sealBytes(bytes, blobContext(digest));
    await this.#write(digest, sealed, sealedSuffix);
    return digest;
  }

  async get(digest: string): Promise<Uint8Array> {
    const path = this.#path(digest);
    const plain = await readOrNull(path);
    if (plain !== null) {
      if (sha256(plain) === digest) return plain;
      throw damaged(digest, path);
    }
    const sealed = await readOrNull(path + sealedSuffix);
    if (sealed === null)
      throw new GlasshouseError("not-found", `There is no blob ${digest} in ${this.#directory}.`);
    return this.#opened(digest, sealed);
  }

  async has(digest: string): Promise<boolean> {
    const path = this.#path(digest);
    return (await isThere(path)) || (await isThere(path + sealedSuffix));
  }

  async remove(digest: string): Promise<void> {
    const path = this.#path(digest);
    await rm(path, { force: true });
    await rm(path + sealedSuffix, { force: true });
  }

  async *list(): AsyncGenerator<{ readonly digest: string; readonly putAtMs: number }> {
    for await (const folder of await opendir(this.#directory)) {
      if (!/^[0-9a-f]{2}$/u.test(folder.name)) continue;
      for await (const file of await opendir(join(this.#directory, folder.name))) {
        const digest = folder.name + file.name.replace(sealedSuffix, "");
        const found = await statOrNull(join(this.#directory, folder.name, file.name));
        if (digestPattern.test(digest) && found !== null)
          yield { digest, putAtMs: Math.floor(found.mtimeMs) };
      }
    }
  }

  #path(digest: string): string {
    if (!digestPattern.test(digest))
      throw new GlasshouseError("not-found", `"${digest}" is not the digest of a blob.`);
    return join(this.#directory, digest.slice(0, 2), digest.slice(2));
  }

  #opened(digest: string, sealed: Uint8Array): Uint8Array {
    try {
      return this.#sealer.openBytes(sealed, blobContext(digest));
    } catch (cause) {
      throw damaged(digest, this.#path(digest) + sealedSuffix, cause);
    }
  }

  async #write(digest: string, bytes: Uint8Array, suffix: string): Promise<void> {
    const path = this.#path(digest) + suffix;
    const folder = join(this.#directory, digest.slice(0, 2));
    await translated(path, async () => {
      if (await refresh(path, bytes.length)) return syncDirectory(folder);
      await makeFolder(this.#directory, folder);
      await this.#writeNew(path, bytes);
      await syncDirectory(folder);
    });
  }

  async #writeNew(path: string, bytes: Uint8Array): Promise<void> {
    const temporary = join(this.#temporary, randomBytes(9).toString("hex"));
    try {
      const file = await open(temporary, "wx", 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
  }
}

/** The digest is authenticated with the content: a sealed file renamed to another does not open. */
function blobContext(digest: string): string {
  return `blob/${digest}`;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function damaged(digest: string, path: string, cause?: unknown): GlasshouseError {
  return new GlasshouseError(
    "internal",
    `The blob ${digest} is damaged: the content of ${path} is not what was put there. Restore it from a backup.`,
    { cause },
  );
}

/** True when the file is there in full length; then it counts as put now. A shorter one is written anew. */
async function refresh(path: string, length: number): Promise<boolean> {
  const found = await statOrNull(path);
  if (found === null || found.size !== length) return false;
  const now = new Date();
  return utimes(path, now, now).then(
    () => true,
    // Removed in this moment.
    () => false,
  );
}

async function makeFolder(directory: string, folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (made !== undefined) await syncDirectory(directory);
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function removeStale(temporary: string): Promise<void> {
  for await (const file of await opendir(temporary)) {
    const path = join(temporary, file.name);
    const found = await statOrNull(path);
    if (found !== null && Date.now() - found.mtimeMs > staleTemporaryMs)
      await rm(path, { force: true });
  }
}

async function statOrNull(path: string): Promise<{ size: number; mtimeMs: number } | null> {
  return stat(path).catch(nullWhenAbsent);
}

async function isThere(path: string): Promise<boolean> {
  return (await statOrNull(path)) !== null;
}

async function readOrNull(path: string): Promise<Uint8Array | null> {
  return readFile(path).catch(nullWhenAbsent);
}

function nullWhenAbsent(error: unknown): null {
  if (codeOf(error) === "ENOENT") return null;
  throw error;
}

async function translated<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const code = codeOf(cause);
    if (code !== "ENOSPC" && code !== "EDQUOT") throw cause;
    throw new GlasshouseError("storage-full", `There is no room on the disk for ${path}.`, {
      cause,
    });
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
