import { buffer } from "node:stream/consumers";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { pack as tarPack } from "tar-stream";
import { GlasshouseError } from "../../../domain/errors.ts";
import { sourceLimits, type SourceFile } from "../../../ports/source.ts";

/**
 * Packs files into a tar.gz, for upload. The same files give the same bytes, whenever and by whom they are packed.
 * Errors: `too-large`.
 */
export async function pack(files: readonly SourceFile[]): Promise<Uint8Array> {
  const tar = tarPack();
  const content = buffer(tar);
  for (const { path, mode, bytes } of files.toSorted((a, b) => (a.path < b.path ? -1 : 1)))
    tar.entry({ name: path, mode, mtime: new Date(0) }, Buffer.from(bytes));
  tar.finalize();
  const packed = await promisify(gzip)(await content);
  if (packed.length > sourceLimits.archiveBytes)
    throw new GlasshouseError(
      "too-large",
      `The files pack to ${packed.length} bytes; the limit is ${sourceLimits.archiveBytes}. Take out what the template does not use.`,
    );
  return packed;
}
