import { hash } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, type Stats } from "node:fs";
import { chmod, lstat, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GlasshouseError } from "../domain/errors.ts";
import type { TemplateFile } from "../domain/template.ts";
import { pathFault } from "../lib/file-tree.ts";
import type { BlobStore } from "../ports/blob.ts";
import type { TemplateFiles } from "../ports/executor.ts";

const templateFile = "template.yaml";

type Contents = Pick<BlobStore, "get">;

/** The files of a registered template, as executors see them. */
export function templateFiles(files: readonly TemplateFile[], blobs: Contents): TemplateFiles {
  return {
    paths: files.map((file) => file.path),
    digestOf: (paths) => filesDigest(files, paths),
    materialise: (path, directory) =>
      oneByOne(directory, () => materialise({ files: below(files, path), path, directory, blobs })),
  };
}

/**
 * SHA-256 in hex over path, mode and content digest of the files at or below these paths. The template file itself counts
 * only when it is named: what it says of a group is compared as settings, and a program in the template's root would
 * otherwise run again with every version.
 */
export function filesDigest(files: readonly TemplateFile[], paths: readonly string[]): string {
  const chosen = new Set(paths.flatMap((path) => below(files, path)));
  if (!paths.some((path) => normal(path) === templateFile))
    for (const file of below(files, templateFile)) chosen.delete(file);
  const lines = files
    .filter((file) => chosen.has(file))
    .map((file) => `${file.path}\0${file.mode.toString(8)}\0${file.digest}\n`);
  return hash("sha256", lines.join(""), "hex");
}

function below(files: readonly TemplateFile[], path: string): readonly TemplateFile[] {
  const clean = normal(path);
  if (clean === "") return files;
  return files.filter((file) => file.path === clean || file.path.startsWith(`${clean}/`));
}

/** `./a/b/` and `a/b` are one path; the template check has refused those that leave the folder. */
function normal(path: string): string {
  return path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}

/** The last that was begun in each directory. */
const begun = new Map<string, Promise<void>>();

/** Checks of an environment share a directory and begin at the same time. */
async function oneByOne(directory: string, put: () => Promise<void>): Promise<void> {
  const before = begun.get(directory) ?? Promise.resolve();
  const own = before.catch(() => {}).then(put);
  begun.set(directory, own);
  try {
    await own;
  } finally {
    if (begun.get(directory) === own) begun.delete(directory);
  }
}

interface Materialise {
  readonly files: readonly TemplateFile[];
  readonly path: string;
  readonly directory: string;
  readonly blobs: Contents;
}

const manifestName = ".glasshouse-files.json";

/** Puts the files there, relative to `path`. The list of what was put is kept beside them, so a later version removes what it no longer has and rewrites only what differs. */
async function materialise({ files, path, directory, blobs }: Materialise): Promise<void> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const prefix = normal(path);
  const wanted = new Map(files.map((file) => [relativeTo(prefix, file.path), file]));
  const before = readManifest(directory);
  for (const name of before.keys()) {
    if (!wanted.has(name)) await rm(join(directory, name), { force: true });
  }
  for (const [name, file] of wanted) {
    if (before.get(name) === `${file.digest}:${file.mode}`) continue;
    await realFolder(directory, dirname(name));
    await putFile(join(directory, name), file, blobs);
  }
  const manifest = Object.fromEntries(
    [...wanted].map(([name, file]) => [name, `${file.digest}:${file.mode}`]),
  );
  const text = JSON.stringify(manifest);
  if (text !== JSON.stringify(Object.fromEntries(before)))
    await writeFile(join(directory, manifestName), text, { mode: 0o600 });
}

function relativeTo(prefix: string, path: string): string {
  if (prefix === "") return path;
  if (path === prefix) return path.split("/").at(-1) ?? path;
  return path.slice(prefix.length + 1);
}

/** Makes the folders down to a file. A link that a program left in place of one would lead out, so it is replaced. */
async function realFolder(directory: string, folder: string): Promise<void> {
  let at = directory;
  for (const part of folder.split("/").filter((name) => name !== ".")) {
    at = join(at, part);
    const found = await lstat(at).catch(() => null);
    if (found?.isDirectory() === true) continue;
    if (found !== null) await rm(at, { force: true });
    await mkdir(at, { mode: 0o700 });
  }
}

async function putFile(target: string, file: TemplateFile, blobs: Contents): Promise<void> {
  const temporary = `${target}.${process.pid}.part`;
  await writeFile(temporary, await blobs.get(file.digest), { mode: 0o600 });
  await chmod(temporary, file.mode & 0o777);
  await rename(temporary, target);
}

/**
 * What lies there by our own doing. A file that somebody removed, one behind a link, or a half-written list counts as not put.
 * Only what the list names is looked at: beside it lie a program's own folders, with thousands of files that a tool keeps
 * there. Synchronous: a look at a file takes less than the way to a thread and back.
 */
function readManifest(directory: string): ReadonlyMap<string, string> {
  const isReal = realFolders(directory);
  const entries = parseManifest(textOf(join(directory, manifestName)));
  // The list lies where programs write: a name in it that leads out is none of ours.
  return new Map(
    entries.filter(
      ([name]) =>
        pathFault(name) === null &&
        isReal(dirname(name)) &&
        look(join(directory, name)) !== undefined,
    ),
  );
}

/** Says of a folder whether all on the way to it are folders, and no links. */
function realFolders(directory: string): (folder: string) => boolean {
  const known = new Map([[".", true]]);
  const isReal = (folder: string): boolean => {
    const before = known.get(folder);
    if (before !== undefined) return before;
    const found = isReal(dirname(folder)) && look(join(directory, folder))?.isDirectory() === true;
    known.set(folder, found);
    return found;
  };
  return isReal;
}

function look(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "{}";
  }
}

function parseManifest(text: string): readonly (readonly [string, string])[] {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return [];
    return Object.entries(value).flatMap(([name, stamp]) =>
      typeof stamp === "string" ? [[name, stamp] as const] : [],
    );
  } catch (cause) {
    if (cause instanceof SyntaxError) return [];
    throw new GlasshouseError(
      "internal",
      "The list of template files in a work directory cannot be read.",
      { cause },
    );
  }
}
