import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { extract, type ExtractEvents, type Header } from "tar-stream";
import { GlasshouseError } from "../../../domain/errors.ts";
import { FileTree, TreeFault } from "../../../lib/file-tree.ts";
import { isLeftOut, sourceLimits, type SourceTree } from "../../../ports/source.ts";

/** Headers and padding of as many files as may be, beside their content: what unpacking may ask of memory. */
const unpackedBytes = sourceLimits.totalBytes + sourceLimits.files * 4096;

/**
 * Unpacks a tar.gz in memory; nothing is written. Devices, links that leave the folder and hostile names are refused.
 * Errors: `invalid-request` (not an archive), `unsafe-path`, `too-large`.
 */
export async function unpack(bytes: Uint8Array): Promise<SourceTree> {
  if (bytes.length > sourceLimits.archiveBytes)
    throw new GlasshouseError(
      "too-large",
      `The archive has ${bytes.length} bytes; the limit is ${sourceLimits.archiveBytes}.`,
    );
  const tar = await decompress(bytes);
  try {
    return { files: await readEntries(tar), commit: null };
  } catch (cause) {
    if (cause instanceof TreeFault)
      throw new GlasshouseError(cause.kind, `The archive is refused: ${cause.message}.`, { cause });
    throw notAnArchive(cause);
  }
}

async function decompress(bytes: Uint8Array): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: unpackedBytes });
  } catch (cause) {
    if (cause instanceof RangeError)
      throw new GlasshouseError(
        "too-large",
        `The archive unpacks to more than ${sourceLimits.totalBytes} bytes.`,
        { cause },
      );
    throw notAnArchive(cause);
  }
}

function notAnArchive(cause: unknown): GlasshouseError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new GlasshouseError("invalid-request", `The body is not a tar.gz archive: ${reason}.`, {
    cause,
  });
}

type Entry = ExtractEvents["entry"][1];

async function readEntries(tar: Uint8Array): Promise<SourceTree["files"]> {
  const tree = new FileTree(sourceLimits);
  const entries = extract();
  entries.end(Buffer.from(tar.buffer, tar.byteOffset, tar.byteLength));
  for await (const entry of entries) await take(tree, entry);
  return tree.finish();
}

async function take(tree: FileTree, entry: Entry): Promise<void> {
  const path = entry.header.name.replace(/^(?:\.\/)+/u, "").replace(/\/+$/u, "");
  if (path !== "" && path !== "." && !isLeftOut(path)) await add(tree, path, entry);
  entry.resume();
}

async function add(tree: FileTree, path: string, entry: Entry): Promise<void> {
  const { header } = entry;
  switch (header.type) {
    case "file":
    case "contiguous-file":
      tree.expect(path, header.size);
      tree.addFile(path, header.mode, await buffer(entry));
      return;
    case "directory":
      tree.addFolder(path);
      return;
    case "symlink":
      tree.addLink(path, header.linkname);
      return;
    case "link":
      tree.addHardLink(path, header.linkname.replace(/^(?:\.\/)+/u, ""));
      return;
    case "block-device":
    case "character-device":
    case "fifo":
    default:
      throw new TreeFault("unsafe-path", `${JSON.stringify(path)} is ${kindOf(header.type)}`);
  }
}

/** The reader gives null for kinds that it does not know. */
function kindOf(type: Header["type"] | null): string {
  return type === null ? "of an unknown kind" : `a ${type}`;
}
