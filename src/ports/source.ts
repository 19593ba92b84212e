/** The files of a template as they were found, before anything is checked. */
export interface SourceTree {
  readonly files: readonly SourceFile[];
  /** Present when it came from git. */
  readonly commit: string | null;
}

export interface SourceFile {
  /** Relative, `/` between parts; already refused: `..`, absolute, NUL, links that leave the folder. */
  readonly path: string;
  readonly mode: number;
  readonly bytes: Uint8Array;
}

/** Limits of what is taken in. */
export const sourceLimits = {
  archiveBytes: 16 * 1024 * 1024,
  totalBytes: 64 * 1024 * 1024,
  files: 5_000,
  gitTimeoutMs: 60_000,
} as const;

/** Files left out of every source, as they hold state or history, not the template. */
export function isLeftOut(path: string): boolean {
  const parts = path.split("/");
  return (
    parts.includes(".git") ||
    parts.includes(".terraform") ||
    parts.some((part) => part.includes(".tfstate"))
  );
}

export interface GitSource {
  /**
   * Fetches one folder of a repository at a commit, tag or branch, pinned to the commit. Safe to repeat. Submodules, hooks
   * and links that leave the folder are refused. Errors: `unsafe-source`, `unsafe-path`, `too-large`, `not-found` (ref or
   * path), `timeout`, `unavailable` (repository cannot be reached, or its host was left alone because it is down). It has a time
   * limit of its own and is tried again by itself.
   */
  fetch(
    request: GitRequest,
    signal?: AbortSignal,
  ): Promise<SourceTree & { readonly commit: string }>;
}

export interface GitRequest {
  readonly repository: string;
  /** Null for the remote's HEAD. */
  readonly ref: string | null;
  /** Folder within the repository; empty for its root. */
  readonly path: string;
  /** `file://` repositories are taken only while the server listens on loopback. */
  readonly allowFile: boolean;
}

export interface ArchiveSource {
  /** Unpacks a tar.gz in memory. Errors: `invalid-request` (not an archive), `unsafe-path`, `too-large`. */
  unpack(bytes: Uint8Array): Promise<SourceTree>;
}
