import type { SourceFile, SourceTree } from "../../../ports/source.ts";

// The library that reads archives is loaded by the first of them, so that it does not slow the start of the server.

/** Packs files into a tar.gz, for upload. The same files give the same bytes. Errors: `too-large`. */
export async function pack(files: readonly SourceFile[]): Promise<Uint8Array> {
  const loaded = await import("./pack.ts");
  return loaded.pack(files);
}

/** Unpacks a tar.gz in memory. Errors: `invalid-request` (not an archive), `unsafe-path`, `too-large`. */
export async function unpack(bytes: Uint8Array): Promise<SourceTree> {
  const loaded = await import("./unpack.ts");
  return loaded.unpack(bytes);
}
