export interface TreeFile {
  readonly path: string;
  /** 0o755 when its owner may execute it, else 0o644: what git keeps, so that the same files have the same modes everywhere. */
  readonly mode: number;
  readonly bytes: Uint8Array;
}

export interface TreeLimits {
  readonly files: number;
  readonly totalBytes: number;
}

/** Something that may not come in. */
export class TreeFault extends Error {
  readonly kind: "unsafe-path" | "too-large";

  constructor(kind: TreeFault["kind"], message: string) {
    super(message);
    this.name = "TreeFault";
    this.kind = kind;
  }
}

const longestPathBytes = 1024;
const longestNameBytes = 255;
const mostHops = 40;

/**
 * Collects the files of a folder from anywhere: an archive, a repository, a disk. Refuses what could leave the folder, what
 * would overwrite something on another file system, and what is too much. Links that stay inside become copies. Every
 * method throws `TreeFault`.
 */
export class FileTree {
  readonly #limits: TreeLimits;
  readonly #files = new Map<string, Omit<TreeFile, "path">>();
  readonly #links = new Map<string, readonly string[]>();
  /** Every name under the form in which a careless file system sees it. */
  readonly #names = new Map<string, { readonly path: string; readonly isFolder: boolean }>();
  #entries = 0;
  #totalBytes = 0;

  constructor(limits: TreeLimits) {
    this.#limits = limits;
  }

  /** Refuses a file by its path and size, before its content is read. */
  expect(path: string, size: number): void {
    checkPath(path);
    this.#checkRoom(path, size);
  }

  /** Refuses so many more files before the first of them is read. */
  expectCount(files: number): void {
    if (this.#entries + files > this.#limits.files) throw this.#tooMany();
  }

  addFile(path: string, mode: number, bytes: Uint8Array): void {
    this.#enter(path, false);
    this.#keep(path, mode, bytes);
  }

  addFolder(path: string): void {
    checkPath(path);
    this.#enterName(path, true);
  }

  /** A symbolic link; where it points is looked at when all is there. */
  addLink(path: string, target: string): void {
    this.#enter(path, false);
    const from = JSON.stringify(path);
    if (target.startsWith("/") || target === "" || target.includes("\0"))
      throw unsafe(`the link ${from} points to ${JSON.stringify(target)}, outside the folder`);
    this.#links.set(path, target.split("/"));
  }

  /** A second name for a file that came before; `target` is written from the root. */
  addHardLink(path: string, target: string): void {
    const file = this.#files.get(target);
    if (file === undefined)
      throw unsafe(
        `the hard link ${JSON.stringify(path)} names ${JSON.stringify(target)}, which is no file before it`,
      );
    this.addFile(path, file.mode, file.bytes);
  }

  /** All files with links resolved, by path. */
  finish(): readonly TreeFile[] {
    const links = [...this.#links];
    for (const [path, target] of links) this.#expand(path, target);
    return [...this.#files]
      .map(([path, file]) => ({ path, ...file }))
      .sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  #enter(path: string, isFolder: boolean): void {
    checkPath(path);
    const parts = path.split("/");
    for (let depth = 1; depth < parts.length; depth += 1)
      this.#enterName(parts.slice(0, depth).join("/"), true);
    this.#enterName(path, isFolder);
    this.#count();
  }

  #count(): void {
    this.#entries += 1;
    if (this.#entries > this.#limits.files) throw this.#tooMany();
  }

  #tooMany(): TreeFault {
    return new TreeFault("too-large", `there are more than ${this.#limits.files} files`);
  }

  #enterName(path: string, isFolder: boolean): void {
    const key = path.normalize("NFC").toLowerCase();
    const before = this.#names.get(key);
    if (before === undefined) {
      this.#names.set(key, { path, isFolder });
      return;
    }
    if (before.path !== path)
      throw unsafe(
        `${JSON.stringify(before.path)} and ${JSON.stringify(path)} differ only in case or Unicode form`,
      );
    if (!isFolder || !before.isFolder) throw unsafe(`${JSON.stringify(path)} is there twice`);
  }

  #keep(path: string, mode: number, bytes: Uint8Array): void {
    this.#checkRoom(path, bytes.length);
    this.#totalBytes += bytes.length;
    this.#files.set(path, { mode: (mode & 0o100) === 0 ? 0o644 : 0o755, bytes });
  }

  #checkRoom(path: string, size: number): void {
    if (this.#totalBytes + size > this.#limits.totalBytes)
      throw new TreeFault(
        "too-large",
        `with ${JSON.stringify(path)} (${size} bytes) the files have more than ${this.#limits.totalBytes} bytes`,
      );
  }

  /** Puts copies of what a link points to under the link's name. */
  #expand(path: string, target: readonly string[]): void {
    const place = this.#resolve(path, target);
    const file = this.#files.get(place);
    if (file !== undefined) {
      this.#keep(path, file.mode, file.bytes);
      return;
    }
    const inside = place === "" ? "" : `${place}/`;
    if (path.startsWith(inside)) throw unsafe(`the link ${JSON.stringify(path)} contains itself`);
    const below = [...this.#names.values()].filter(
      (name) => !name.isFolder && name.path.startsWith(inside),
    );
    if (below.length === 0)
      throw unsafe(
        `the link ${JSON.stringify(path)} points to ${JSON.stringify(target.join("/"))}, which is not there`,
      );
    for (const name of below) this.#copy(`${path}/${name.path.slice(inside.length)}`, name.path);
  }

  #copy(to: string, from: string): void {
    const link = this.#links.get(from);
    const file = this.#files.get(from);
    this.#count();
    checkPath(to);
    if (file !== undefined) this.#keep(to, file.mode, file.bytes);
    else if (link !== undefined) this.#expandCopy(to, from, link);
  }

  /** A link below a linked folder: it points from where it really lies. */
  #expandCopy(to: string, from: string, target: readonly string[]): void {
    const place = this.#resolve(from, target);
    const file = this.#files.get(place);
    if (file === undefined)
      throw unsafe(
        `the link ${JSON.stringify(to)} leads through another linked folder, ${JSON.stringify(from)}`,
      );
    this.#keep(to, file.mode, file.bytes);
  }

  /** Follows a link as a file system does: part by part, other links on the way included. */
  #resolve(path: string, target: readonly string[]): string {
    const at = path.split("/").slice(0, -1);
    const rest = [...target];
    for (let hops = 0; rest.length > 0;) {
      const part = rest.shift() ?? "";
      if (part === "" || part === ".") continue;
      if (part !== "..") at.push(part);
      else if (at.pop() === undefined)
        throw unsafe(
          `the link ${JSON.stringify(path)} points to ${JSON.stringify(target.join("/"))}, outside the folder`,
        );
      const next = this.#links.get(at.join("/"));
      if (next === undefined) continue;
      hops += 1;
      if (hops > mostHops) throw unsafe(`the link ${JSON.stringify(path)} leads in a circle`);
      at.pop();
      rest.unshift(...next);
    }
    return at.join("/");
  }
}

function checkPath(path: string): void {
  const fault = pathFault(path);
  if (fault !== null) throw unsafe(`the path ${JSON.stringify(path)} ${fault}`);
}

/** What is wrong with a relative path of `/`-separated names, or null. */
export function pathFault(path: string): string | null {
  if (path === "") return "is empty";
  if (path.startsWith("/")) return "is absolute";
  if (/\p{Cc}/u.test(path)) return "has a control character";
  if (path.includes("\uFFFD") || !path.isWellFormed()) return "is not UTF-8";
  if (Buffer.byteLength(path) > longestPathBytes) return `has more than ${longestPathBytes} bytes`;
  const parts = path.split("/");
  if (parts.includes("..")) return "leaves the folder";
  if (parts.some((part) => part === "" || part === "."))
    return 'has an empty name or "." in the middle';
  const long = parts.some((part) => Buffer.byteLength(part) > longestNameBytes);
  return long ? `has a name of more than ${longestNameBytes} bytes` : null;
}

function unsafe(message: string): TreeFault {
  return new TreeFault("unsafe-path", message);
}
