import { GlasshouseError } from "../../../domain/errors.ts";
import { pathFault } from "../../../lib/file-tree.ts";
import type { GitRequest } from "../../../ports/source.ts";

/** A request that is safe to give to git. */
export interface SafeRequest {
  readonly url: string;
  readonly ref: string | null;
  readonly path: string;
  /** The transports that git may use, redirects and all. */
  readonly protocols: readonly ("https" | "file")[];
}

/**
 * Looks at the request before git sees any of it. Errors: `unsafe-source` for an address or ref that could mean something
 * else to git, `unsafe-path` for a folder outside the repository.
 */
export function checkRequest({ repository, ref, path, allowFile }: GitRequest): SafeRequest {
  const url = checkRepository(repository, allowFile);
  if (ref !== null) checkRef(ref);
  const folder = path.replace(/^(?:\.\/)+/u, "").replace(/\/+$/u, "");
  const fault = folder === "" || folder === "." ? null : pathFault(folder);
  if (fault !== null)
    throw new GlasshouseError("unsafe-path", `The folder ${JSON.stringify(path)} ${fault}.`);
  return {
    url: url.href,
    ref,
    path: folder === "." ? "" : folder,
    protocols: url.protocol === "file:" ? ["file"] : ["https"],
  };
}

function checkRepository(repository: string, allowFile: boolean): URL {
  const shown = JSON.stringify(repository.slice(0, 200).replace(/\/\/[^/@]*@/u, "//…@"));
  const refuse = (why: string): never => {
    throw new GlasshouseError("unsafe-source", `The repository ${shown} is refused: ${why}.`);
  };
  if (/[\p{Cc}\s]/u.test(repository)) refuse("its address has a space or control character");
  const url = URL.parse(repository);
  if (url === null || !/^(?:https|file):$/u.test(url.protocol))
    return refuse("its address must begin with https://");
  if (url.protocol === "file:" && !allowFile)
    refuse("file:// repositories are taken only while the server listens on loopback");
  if (url.protocol === "file:" && url.hostname !== "" && url.hostname !== "localhost")
    refuse("a file:// address names no host");
  if (url.protocol === "https:" && url.hostname === "") refuse("its address names no host");
  if (url.username !== "" || url.password !== "")
    refuse("its address carries a user or password, which would be kept with the template");
  return url;
}

/** What git-check-ref-format allows, without anything that could be an option, a range or a search. */
function checkRef(ref: string): void {
  const isName =
    ref.length <= 255 &&
    /^[\p{L}\p{N}_.+@=,/!#%&()-]+$/u.test(ref) &&
    !/^[-+/.]|[/.]$|\.\.|\/\/|\/\.|@\{|\.lock(?:\/|$)/u.test(ref) &&
    ref !== "@";
  if (!isName)
    throw new GlasshouseError(
      "unsafe-source",
      `The ref ${JSON.stringify(ref.slice(0, 255))} is not the name of a commit, tag or branch.`,
    );
}

/** True for a full SHA-1 or SHA-256 commit. */
export function isCommit(ref: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/u.test(ref);
}
