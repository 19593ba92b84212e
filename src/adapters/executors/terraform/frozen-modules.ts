import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { z } from "zod";

/** Modules that came from elsewhere are part of a group's record, so that it can be destroyed when they are gone there. */
const packed = z.object({ files: z.record(z.string(), z.string()) });

const mostPackedBytes = 1024 * 1024;
const mostUnpackedBytes = 16 * 1024 * 1024;

/**
 * The content of a `.terraform/modules` folder as text, without the history of repositories. Null when there is no such
 * folder, or when it is larger than 16 MiB, or than 1 MiB packed: then they have to be fetched again.
 */
export async function packModules(folder: string): Promise<string | null> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files: Record<string, string> = {};
  let size = 0;
  for (const entry of entries.filter((each) => each.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(folder.length + 1);
    if (/(?:^|\/)\.git\//u.test(name)) continue;
    size += (await stat(path)).size;
    if (size > mostUnpackedBytes) return null;
    files[name] = (await readFile(path)).toString("base64");
  }
  if (Object.keys(files).length === 0) return null;
  const text = (await promisify(gzip)(JSON.stringify({ files }))).toString("base64");
  return text.length > mostPackedBytes ? null : text;
}

/** Lays them down again. The text is one that `packModules` gave. */
export async function unpackModules(text: string, folder: string): Promise<void> {
  const bytes = await promisify(gunzip)(Buffer.from(text, "base64"), {
    maxOutputLength: 4 * mostUnpackedBytes,
  });
  const { files } = packed.parse(JSON.parse(bytes.toString("utf8")));
  for (const [name, content] of Object.entries(files)) {
    const target = join(folder, name);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    await writeFile(target, Buffer.from(content, "base64"), { mode: 0o600 });
  }
}
