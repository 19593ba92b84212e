import { readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { resolve, sep } from "node:path";
import { GlasshouseError } from "../../../domain/errors.ts";

/**
 * File systems on which SQLite's locks or shared memory cannot be trusted, by the number that statfs(2) gives
 * (https://sqlite.org/wal.html: "all processes using a database must be on the same host computer").
 */
const networkFileSystems: ReadonlyMap<number, string> = new Map([
  [0x6969, "nfs"],
  [0x517b, "smb"],
  [0xff534d42, "cifs"],
  [0xfe534d42, "smb2"],
  [0x00c36400, "ceph"],
  [0x5346414f, "afs"],
  [0x6b414653, "afs"],
  [0x73757245, "coda"],
  [0x564c, "ncp"],
  [0x0bd00bd0, "lustre"],
  [0x47504653, "gpfs"],
  [0x19830326, "fhgfs"],
]);

/** FUSE has one number for all; their names tell those that go over a network from the disks of a virtual machine. */
const networkFuse =
  /^fuse\.(sshfs|s3fs|rclone|glusterfs|ceph|ceph-fuse|davfs|gcsfuse|goofys|juicefs|blobfuse2?|mount-s3|smbnetfs|curlftpfs)$/u;

/** Errors: `invalid-configuration` when the directory lies on a network file system. */
export async function refuseNetworkFileSystem(directory: string): Promise<void> {
  const { type } = await statfs(directory);
  // Some platforms give the number as a negative one.
  const name = networkName(type >>> 0, () => mountTypeOf(resolve(directory)));
  if (name === null) return;
  throw new GlasshouseError(
    "invalid-configuration",
    `The data directory ${directory} is on a network file system (${name}), where the database's locks do not hold. ` +
      "Choose a directory on a local disk.",
  );
}

/** The name of the network file system, or null. The type of the mount is asked for only where the number does not say enough. */
export function networkName(type: number, askMountType: () => string | null): string | null {
  const fuse = 0x65735546;
  if (type !== fuse) return networkFileSystems.get(type) ?? null;
  const name = askMountType();
  return name !== null && networkFuse.test(name) ? name : null;
}

/** The type of the mount that a path lies on, from the text of /proc/self/mountinfo; null when it is not known. */
export function mountType(mounts: string, path: string): string | null {
  let best: { readonly point: string; readonly type: string } | null = null;
  for (const line of mounts.split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const escaped = before.split(" ")[4];
    const type = after.split(" ")[0];
    if (escaped === undefined || type === undefined) continue;
    const point = escaped.replaceAll(/\\(\d{3})/gu, (_all, octal: string) =>
      String.fromCodePoint(Number.parseInt(octal, 8)),
    );
    const holds = path === point || path.startsWith(point.endsWith(sep) ? point : point + sep);
    // Of mounts on one point the last hides the others.
    if (holds && (best === null || point.length >= best.point.length)) best = { point, type };
  }
  return best?.type ?? null;
}

function mountTypeOf(path: string): string | null {
  try {
    return mountType(readFileSync("/proc/self/mountinfo", "utf8"), path);
  } catch {
    return null;
  }
}
