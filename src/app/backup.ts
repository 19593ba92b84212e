import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import {
  chmod,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  writeFile,
} from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { z } from "zod";
import { defaultKeyFile } from "../adapters/secrets/embedded/index.ts";
import { backUp } from "../adapters/stores/sqlite/maintenance.ts";
import type { Config } from "../contract/config.ts";
import { GlasshouseError } from "../domain/errors.ts";

type Places = Pick<Config, "data" | "security"> & Partial<Pick<Config, "store">>;

export interface BackupSummary {
  readonly directory: string;
  readonly blobs: number;
  /** False when the key file lies outside the data directory: then it must be kept by other means. */
  readonly hasKey: boolean;
}

const manifestSchema = z.object({
  formatVersion: z.literal(1),
  createdAt: z.string(),
  databaseSha256: z.string(),
  blobs: z.int(),
  hasKey: z.boolean(),
});

const database = "glasshouse.db";
const manifestName = "backup.json";

/**
 * Writes a consistent copy of the data directory into a new directory, also while a server works on it. It is complete when
 * `backup.json` is there. Errors: `not-found` (no data), `conflict` (the target is there), `storage-full`, `internal`.
 */
export async function writeBackup(
  places: Places,
  target: string,
  now: Date,
): Promise<BackupSummary> {
  refuseDatabase(places, "pg_dump --format=custom --file=glasshouse.dump");
  if (!(await exists(join(places.data, database))))
    throw new GlasshouseError("not-found", `There is no data in ${places.data} to back up.`);
  if (!relative(places.data, target).startsWith(".."))
    throw new GlasshouseError(
      "conflict",
      `The backup cannot lie inside the data directory ${places.data}.`,
    );
  if (await hasEntries(target))
    throw new GlasshouseError("conflict", `${target} is not empty; name a new directory.`);
  return withRoom(target, async () => {
    await mkdir(target, { recursive: true, mode: 0o700 });
    // Blobs first and once more after the database: whatever its rows name is then in the copy.
    await copyFolder(join(places.data, "blobs"), join(target, "blobs"));
    await backUp(join(places.data, database), join(target, database));
    await chmod(join(target, database), 0o600);
    const blobs = await copyFolder(join(places.data, "blobs"), join(target, "blobs"));
    const hasKey = await copyKeys(places, join(target, "keys"));
    const databaseSha256 = await digestOf(join(target, database));
    const createdAt = now.toISOString();
    const manifest = { formatVersion: 1, createdAt, databaseSha256, blobs, hasKey } as const;
    await writeSynced(join(target, manifestName), `${JSON.stringify(manifest, null, 2)}\n`);
    return { directory: target, blobs, hasKey };
  });
}

/**
 * Puts a backup where the data directory is to be; nothing may be there yet. The directory appears in one step. Errors:
 * `not-found` (no backup), `conflict` (there is data), `internal` (the backup is damaged), `storage-full`.
 */
export async function restoreBackup(places: Places, source: string): Promise<BackupSummary> {
  refuseDatabase(places, "pg_restore --clean --if-exists --dbname");
  const manifest = await readManifest(source);
  if (await hasEntries(places.data))
    throw new GlasshouseError(
      "conflict",
      `There is data in ${places.data} already. Stop the server and move that directory away first.`,
    );
  if ((await digestOf(join(source, database))) !== manifest.databaseSha256)
    throw new GlasshouseError("internal", `The database of the backup ${source} is damaged.`);
  return withRoom(places.data, async () => {
    const parts = `${places.data}.restoring`;
    await rm(parts, { recursive: true, force: true });
    await mkdir(parts, { recursive: true, mode: 0o700 });
    await copySynced(join(source, database), join(parts, database));
    await copyFolder(join(source, "keys"), join(parts, "keys"));
    const blobs = await copyFolder(join(source, "blobs"), join(parts, "blobs"));
    if (blobs < manifest.blobs)
      throw new GlasshouseError(
        "internal",
        `The backup ${source} is damaged: it has ${blobs} of ${manifest.blobs} blobs.`,
      );
    await rmdir(places.data).catch(() => undefined);
    await rename(parts, places.data);
    return { directory: places.data, blobs, hasKey: manifest.hasKey };
  });
}

/** A database has tools of its own for that, and a copy of the data directory would hold nothing of it. */
function refuseDatabase({ store }: Places, tool: string): void {
  if (store === undefined || store.url === "sqlite") return;
  throw new GlasshouseError(
    "not-available",
    `State, blobs and the wrapped key are in PostgreSQL: use its own tools (\`${tool} …\`), and keep a copy of the key file that security.key names. docs/operations.md says how.`,
  );
}

async function readManifest(source: string): Promise<z.infer<typeof manifestSchema>> {
  try {
    return manifestSchema.parse(JSON.parse(await readFile(join(source, manifestName), "utf8")));
  } catch (cause) {
    throw new GlasshouseError(
      "not-found",
      `${source} holds no complete backup: there is no ${manifestName} that can be read.`,
      { cause },
    );
  }
}

/** The key file goes along only when it lies in the data directory; else somebody chose to keep it apart. */
async function copyKeys({ data, security }: Places, target: string): Promise<boolean> {
  const keys = join(data, "keys");
  await mkdir(target, { recursive: true, mode: 0o700 });
  await copySynced(join(keys, "data-key"), join(target, "data-key"));
  if (security.key !== undefined && security.key !== defaultKeyFile(keys)) return false;
  await copySynced(defaultKeyFile(keys), defaultKeyFile(target));
  return true;
}

/** Copies what is not there yet; returns how many files there are. What goes away meanwhile is left out. */
async function copyFolder(from: string, to: string): Promise<number> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  let files = 0;
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory() && entry.name !== "tmp") files += await copyFolder(source, target);
    else if (entry.isFile() && (await copyOnce(source, target))) files += 1;
  }
  return files;
}

async function copyOnce(from: string, to: string): Promise<boolean> {
  if (await exists(to)) return true;
  try {
    await copySynced(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

async function copySynced(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_FICLONE);
  await sync(to);
}

async function writeSynced(path: string, text: string): Promise<void> {
  await writeFile(`${path}.part`, text, { mode: 0o600 });
  await sync(`${path}.part`);
  await rename(`${path}.part`, path);
  await sync(dirname(path));
}

async function sync(path: string): Promise<void> {
  const file = await open(path, constants.O_RDONLY);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest("hex");
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function hasEntries(path: string): Promise<boolean> {
  return readdir(path).then(
    (names) => names.length > 0,
    (error: unknown) => {
      if (codeOf(error) === "ENOENT") return false;
      throw error;
    },
  );
}

async function withRoom<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (codeOf(cause) !== "ENOSPC" && codeOf(cause) !== "EDQUOT") throw cause;
    throw new GlasshouseError("storage-full", `There is no room on the disk for ${path}.`, {
      cause,
    });
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
