import { constants } from "node:fs";
import { lstat, open, readdir, readlink, realpath } from "node:fs/promises";
import { join } from "node:path";
import { GlasshouseError } from "../../../domain/errors.ts";
import { FileTree, TreeFault } from "../../../lib/file-tree.ts";
import { isLeftOut, sourceLimits, type SourceTree } from "../../../ports/source.ts";

/**
 * Reads a local folder under the rules of every source. Errors: `not-found`, `invalid-request` (not a folder, not
 * readable), `unsafe-path`, `too-large`.
 */
export async function readDirectory(directory: string): Promise<SourceTree> {
  const tree = new FileTree(sourceLimits);
  try {
    await readFolder(tree, { root: await realpath(directory), path: "" });
    return { files: tree.finish(), commit: null };
  } catch (cause) {
    throw translated(directory, cause);
  }
}

interface Place {
  readonly root: string;
  /** Relative to the root; empty for the root itself. */
  readonly path: string;
}

async function readFolder(tree: FileTree, { root, path }: Place): Promise<void> {
  const entries = await readdir(join(root, path), { withFileTypes: true });
  const paths = entries.flatMap((entry) => {
    const below = path === "" ? entry.name : `${path}/${entry.name}`;
    return isLeftOut(below) ? [] : [{ below, isFolder: entry.isDirectory() }];
  });
  tree.expectCount(paths.filter((one) => !one.isFolder).length);
  for (const { below } of paths) await readEntry(tree, { root, path: below });
}

async function readEntry(tree: FileTree, { root, path }: Place): Promise<void> {
  tree.expect(path, 0);
  const absolute = join(root, path);
  const found = await lstat(absolute);
  if (found.isDirectory()) {
    tree.addFolder(path);
    await readFolder(tree, { root, path });
  } else if (found.isSymbolicLink()) {
    tree.addLink(path, await readlink(absolute));
  } else if (found.isFile()) {
    tree.expect(path, found.size);
    tree.addFile(path, found.mode, await readFileAt(absolute));
  } else {
    throw new TreeFault("unsafe-path", `${JSON.stringify(path)} is neither file, folder nor link`);
  }
}

/** Does not follow a link and does not wait for a pipe that took the file's place a moment ago. */
async function readFileAt(absolute: string): Promise<Uint8Array> {
  const file = await open(
    absolute,
    constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  );
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function translated(directory: string, cause: unknown): GlasshouseError {
  if (cause instanceof TreeFault)
    return new GlasshouseError(
      cause.kind,
      `The folder ${directory} is refused: ${cause.message}.`,
      {
        cause,
      },
    );
  const code: unknown = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "ENOENT")
    return new GlasshouseError("not-found", `There is no folder ${directory}.`, { cause });
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new GlasshouseError(
    "invalid-request",
    `The folder ${directory} cannot be read: ${reason}.`,
    { cause },
  );
}
