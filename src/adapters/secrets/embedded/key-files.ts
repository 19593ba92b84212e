import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { link, mkdir, open, rename, unlink, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GlasshouseError } from "../../../domain/errors.ts";
import { decrypt, encrypt } from "./cipher.ts";
import { derive } from "./data-key.ts";
import type { KeyWrapper, WrappedKeyPlace } from "./wrapping.ts";

const keyBytes = 32;
const wrapContext = "glasshouse data key";
const largestKeyFile = 4096;

/** Where the key file lies when the configuration names none. */
export function defaultKeyFile(directory: string): string {
  return join(directory, "root.key");
}

/** The data key is wrapped by a key file. `made`: it may be made when it is missing and a data key is; otherwise how that is refused. */
export function fileWrapper(
  path: string,
  made: "here" | ((path: string) => GlasshouseError),
): KeyWrapper {
  const orMissing = async (): Promise<Buffer> => {
    const key = await readRootKey(path);
    if (key !== null) return key;
    throw made === "here" ? missing(path, "the key file that opens the existing data") : made(path);
  };
  return {
    name: `the key file ${path}`,
    isOwn: (wrapped) => !Buffer.from(wrapped).toString("latin1").startsWith("vault:"),
    async wrap(dataKey) {
      const key = made === "here" ? await readRootKey(path) : await orMissing();
      return wrap(dataKey, key ?? (await create(path, newKeyText())));
    },
    unwrap: async (wrapped) => unwrap(Buffer.from(wrapped), await orMissing(), path),
    renewed: () => Promise.resolve(null),
  };
}

/** The wrapped data key in a file of its own. */
export function filePlace(path: string): WrappedKeyPlace {
  return {
    name: path,
    async read() {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      return readSecretFile(path);
    },
    keep: (wrapped) => create(path, Buffer.from(wrapped)),
    async replace(before, next) {
      const now = await readSecretFile(path);
      if (now === null || !now.equals(before)) return;
      const temporary = `${path}.${randomBytes(6).toString("hex")}.new`;
      try {
        await writeSynced(temporary, Buffer.from(next));
        await rename(temporary, path);
        await syncDirectory(dirname(path));
      } catch (cause) {
        await unlink(temporary).catch(() => undefined);
        throw notCreated(path, cause);
      }
    },
  };
}

async function readRootKey(path: string): Promise<Buffer | null> {
  const key = await readSecretFile(path);
  if (key === null || key.length >= keyBytes) return key;
  throw new GlasshouseError(
    "invalid-configuration",
    `The key file ${path} holds ${key.length} bytes; a key needs at least ${keyBytes}.`,
  );
}

function newKeyText(): Buffer {
  return Buffer.from(`${randomBytes(keyBytes).toString("base64")}\n`, "ascii");
}

function wrap(dataKey: Uint8Array, rootKey: Buffer): Buffer {
  const sealed = encrypt(derive(rootKey, "wrapping"), dataKey, wrapContext);
  return Buffer.from(`${Buffer.from(sealed).toString("base64")}\n`, "ascii");
}

function unwrap(wrapped: Buffer, rootKey: Buffer, keyFile: string): Uint8Array {
  try {
    const sealed = Buffer.from(wrapped.toString("ascii"), "base64");
    return decrypt(derive(rootKey, "wrapping"), sealed, wrapContext);
  } catch (cause) {
    throw new GlasshouseError(
      "invalid-configuration",
      `The key file ${keyFile} does not belong to this data: it does not open its data key. Name the right file with security.key, or restore it from a backup.`,
      { cause },
    );
  }
}

function missing(path: string, what: string): GlasshouseError {
  return new GlasshouseError(
    "invalid-configuration",
    `${path} is missing: it is ${what}, and no new one can take its place. Restore it from a backup, or name its place with security.key.`,
  );
}

/** Null when there is none. Refused when anybody but its owner may read it. */
async function readSecretFile(path: string): Promise<Buffer | null> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY);
  } catch (cause) {
    if (isCode(cause, "ENOENT")) return null;
    throw unreadable(path, cause);
  }
  try {
    const { mode, size } = await file.stat();
    if ((mode & 0o077) !== 0)
      throw new GlasshouseError(
        "invalid-configuration",
        `Others may read the key file ${path} (mode ${(mode & 0o777).toString(8)}). Run: chmod 600 ${path}`,
      );
    if (size > largestKeyFile)
      throw new GlasshouseError("invalid-configuration", `${path} is too large to be a key file.`);
    return await file.readFile();
  } catch (cause) {
    if (cause instanceof GlasshouseError) throw cause;
    throw unreadable(path, cause);
  } finally {
    await file.close();
  }
}

function unreadable(path: string, cause: unknown): GlasshouseError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new GlasshouseError("invalid-configuration", `The key file cannot be read: ${reason}.`, {
    cause,
  });
}

/**
 * Makes the file in one step: written and synced under another name, then linked to its own, which fails when it exists.
 * When another process was first, the result is what that one wrote.
 */
async function create(path: string, content: Buffer): Promise<Buffer> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomBytes(6).toString("hex")}.new`;
  try {
    await writeSynced(temporary, content);
    await link(temporary, path);
    await syncDirectory(directory);
    return content;
  } catch (cause) {
    if (!isCode(cause, "EEXIST")) throw notCreated(path, cause);
    const other = await readSecretFile(path);
    if (other === null) throw notCreated(path, cause);
    return other;
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
}

function notCreated(path: string, cause: unknown): GlasshouseError {
  if (isCode(cause, "ENOSPC"))
    return new GlasshouseError("storage-full", `There is no room for the key file ${path}.`, {
      cause,
    });
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new GlasshouseError(
    "invalid-configuration",
    `The key file ${path} cannot be made: ${reason}.`,
    { cause },
  );
}

async function writeSynced(path: string, content: Buffer): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
