import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GlasshouseError } from "../../domain/errors.ts";

/**
 * Opens a file that holds this content and has no name: a child reads it through the descriptor that it inherits, also by
 * opening `/dev/fd/<n>`, which a socket would refuse. On Linux it lives in a memory file system, so the content never
 * reaches a disk (swap aside). Elsewhere it is a temporary file that is unlinked before anything is written to it.
 * The caller closes it. Throws `unavailable` when a Linux has no usable memory file system.
 */
export function openMemoryFile(content: string | Uint8Array): number {
  const fd = process.platform === "linux" ? openUnnamed() : openUnlinked();
  try {
    writeAt(fd, typeof content === "string" ? Buffer.from(content) : content);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** __O_TMPFILE of Linux, which Node does not name; it is only valid together with O_DIRECTORY. */
const unnamedFile = 0o20000000 | constants.O_DIRECTORY;
const tmpfsMagic = 0x01021994;

function openUnnamed(): number {
  const directories = ["/dev/shm", `/run/user/${process.getuid?.() ?? 0}`, "/run", tmpdir()];
  for (const directory of directories) {
    try {
      if (statfsSync(directory).type !== tmpfsMagic) continue;
      return openSync(directory, unnamedFile | constants.O_RDWR, 0o600);
    } catch {
      // The next candidate is tried.
    }
  }
  throw new GlasshouseError(
    "unavailable",
    `No memory file system (tmpfs) that can be written to among ${directories.join(", ")}: values for child processes may not touch a disk. Mount one at /dev/shm.`,
  );
}

function openUnlinked(): number {
  const directory = mkdtempSync(join(tmpdir(), "glasshouse-"));
  try {
    return openSync(join(directory, "value"), "wx+", 0o600);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Positional writes leave the offset at 0, where a child that reads the descriptor itself begins. */
function writeAt(fd: number, bytes: Uint8Array): void {
  let written = 0;
  while (written < bytes.length)
    written += writeSync(fd, bytes, written, bytes.length - written, written);
}
