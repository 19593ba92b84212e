import { GlasshouseError } from "../../../domain/errors.ts";
import { FileTree, TreeFault } from "../../../lib/file-tree.ts";
import { isLeftOut, sourceLimits, type SourceFile } from "../../../ports/source.ts";
import { runGit, type GitOptions } from "./run.ts";

interface Entry {
  /** `100644`, `100755`, `120000` (link), `160000` (submodule). */
  readonly mode: string;
  readonly object: string;
  readonly size: number;
  readonly path: string;
}

const listingBytes = 32 * 1024 * 1024;

/** The files of one folder at a commit. Errors: `not-found`, `unsafe-source` (submodules), `unsafe-path`, `too-large`. */
export async function readTree(
  git: GitOptions,
  commit: string,
  path: string,
): Promise<readonly SourceFile[]> {
  const entries = (await listTree(git, commit, path)).filter((entry) => !isLeftOut(entry.path));
  const submodule = entries.find((entry) => entry.mode === "160000");
  if (submodule !== undefined)
    throw new GlasshouseError(
      "unsafe-source",
      `${JSON.stringify(submodule.path)} is a submodule; they are not fetched. Put its files into the template's folder.`,
    );
  try {
    return await collect(git, entries);
  } catch (cause) {
    if (!(cause instanceof TreeFault)) throw cause;
    const where = path === "" ? "The repository" : `The folder ${path} of the repository`;
    throw new GlasshouseError(cause.kind, `${where} is refused: ${cause.message}.`, { cause });
  }
}

async function listTree(git: GitOptions, commit: string, path: string): Promise<readonly Entry[]> {
  const listed = await runGit(
    git,
    ["ls-tree", "-r", "-z", "-l", "--full-tree", `${commit}:${path}`],
    { limitBytes: listingBytes },
  );
  if (listed.code !== 0)
    throw new GlasshouseError(
      "not-found",
      `At commit ${commit} the repository has no folder ${JSON.stringify(path)}.`,
    );
  return listed.stdout.toString("utf8").split("\0").filter(Boolean).map(entryOf);
}

function entryOf(line: string): Entry {
  const [, mode = "", object = "", size = "", path = ""] =
    /^(\d+) \w+ ([0-9a-f]+) +(\d+|-)\t(.*)$/su.exec(line) ?? [];
  if (mode === "") throw new GlasshouseError("internal", "git lists files in an unknown form.");
  return { mode, object, size: size === "-" ? 0 : Number(size), path };
}

async function collect(git: GitOptions, entries: readonly Entry[]): Promise<readonly SourceFile[]> {
  const tree = new FileTree(sourceLimits);
  const total = entries.reduce((sum, entry) => sum + entry.size, 0);
  if (entries.length > sourceLimits.files)
    throw new TreeFault("too-large", `there are more than ${sourceLimits.files} files`);
  if (total > sourceLimits.totalBytes)
    throw new TreeFault("too-large", `the files have more than ${sourceLimits.totalBytes} bytes`);
  const contents = await readObjects(git, entries);
  for (const [at, { path, mode }] of entries.entries()) {
    const bytes = contents[at] ?? Buffer.alloc(0);
    if (mode === "120000") tree.addLink(path, bytes.toString("utf8"));
    else tree.addFile(path, Number.parseInt(mode.slice(-3), 8), bytes);
  }
  return tree.finish();
}

/** Asks one git for all objects and takes its answer apart: a line with the size, the bytes, a line end, each. */
async function readObjects(git: GitOptions, entries: readonly Entry[]): Promise<readonly Buffer[]> {
  const stdin = entries.map((entry) => `${entry.object}\n`).join("");
  const limitBytes = sourceLimits.totalBytes + entries.length * 128;
  const { stdout, code } = await runGit(git, ["cat-file", "--batch"], { stdin, limitBytes });
  let at = 0;
  const contents = entries.map(({ object, size }) => {
    const lineEnd = stdout.indexOf(10, at);
    const head = stdout.subarray(at, lineEnd).toString("ascii");
    if (code !== 0 || head !== `${object} blob ${size}`)
      throw new GlasshouseError("internal", `git did not give the object ${object}.`);
    at = lineEnd + 1 + size + 1;
    return stdout.subarray(lineEnd + 1, lineEnd + 1 + size);
  });
  return contents;
}
