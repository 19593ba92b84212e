import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { link, mkdir, open, unlink, type FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GlasshouseError } from "../../../domain/errors.ts";
import { decrypt, encrypt } from "./cipher.ts";
import { derive } from "./data-key.ts";

const keyBytes = 32;
const wrapContext = "glasshouse data key";
const largestKeyFile = 4096;

export interface EmbeddedSecretsOptions {
  /** Directory of the wrapped data key; made when absent. */
  readonly directory: string;
  /** The key file that wraps it; `defaultKeyFile(directory)` when nothing else is configured. */
  readonly keyFile: string;
  /**
   * True only when there is no data yet: then missing keys are made. Otherwise a missing key is an error, because a new
   * one could not open what is there.
   */
  readonly mayCreate: boolean;
}

/** Where the key file lies when the configuration names none. */
export function defaultKeyFile(directory: string): string {
  return join(directory, "root.key");
}

/** The 32 bytes of the data key; it and the key file are made when both may be. */
export async function openDataKey(options: EmbeddedSecretsOptions): Promise<Uint8Array> {
  const wrappedFile = join(options.directory, "data-key");
  await mkdir(options.directory, { recursive: true, mode: 0o700 });
  const wrapped = await readSecretFile(wrappedFile);
  const rootKey = await readRootKey(options.keyFile);
  if (wrapped !== null && rootKey !== null) return unwrap(wrapped, rootKey, options.keyFile);
  if (wrapped !== null) throw missing(options.keyFile, "the key file that opens the existing data");
  if (!options.mayCreate)
    throw missing(wrappedFile, "the data key that the existing data was sealed with");
  const key = rootKey ?? (await create(options.keyFile, newKeyText()));
  const made = await create(wrappedFile, wrap(randomBytes(keyBytes), key));
  return unwrap(made, key, options.keyFile);
}

/** Where replicas keep the one wrapped data key that they share. Whoever keeps one second gets the first. */
export interface SharedWrappedKey {
  read(): Promise<Uint8Array | null>;
  keep(wrapped: Uint8Array): Promise<Uint8Array>;
}

/**
 * As `openDataKey`, for replicas that share their data: the first one makes the data key, all open it with the same key
 * file, which is never made here: each replica would make another one.
 */
export async function openSharedDataKey(
  keyFile: string | undefined,
  shared: SharedWrappedKey,
): Promise<Uint8Array> {
  if (keyFile === undefined) throw notNamed();
  const rootKey = await readRootKey(keyFile);
  if (rootKey === null)
    throw new GlasshouseError(
      "invalid-configuration",
      `There is no key file ${keyFile}, which security.key names. All replicas need the same one: copy it from another replica or a backup; for a new database make it with \`openssl rand -base64 32\` (mode 600).`,
    );
  const present = await shared.read();
  const wrapped = present ?? (await shared.keep(wrap(randomBytes(keyBytes), rootKey)));
  return unwrap(Buffer.from(wrapped), rootKey, keyFile);
}

function notNamed(): GlasshouseError {
  return new GlasshouseError(
    "invalid-configuration",
    "With PostgreSQL security.key must name a key file, the same on every replica: it opens the key that secrets and states in the database are sealed with. Make one with `openssl rand -base64 32` (mode 600), and keep a copy of it.",
  );
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
