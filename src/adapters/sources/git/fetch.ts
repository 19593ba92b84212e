import { opendir, stat } from "node:fs/promises";
import { join } from "node:path";
import { GlasshouseError } from "../../../domain/errors.ts";
import { isCommit, type SafeRequest } from "./request.ts";
import { runGit, type GitOptions, type GitOutcome } from "./run.ts";

const listingBytes = 16 * 1024 * 1024;
const listingMs = 15_000;
const messageBytes = 1024 * 1024;
/** What a fetch may take on the disk; a template is far smaller, but its repository may not be. */
const fetchedBytes = 512 * 1024 * 1024;
const sizeCheckMs = 250;

/**
 * Fetches what the ref names into the bare repository and returns its commit. Errors: `not-found`, `unavailable`,
 * `too-large`.
 */
export async function fetchCommit(git: GitOptions, request: SafeRequest): Promise<string> {
  const { ref } = request;
  if (ref !== null && isCommit(ref)) return fetchById(git, request.url, ref);
  const name = await resolveName(git, request);
  await fetchWithin(git, ["--depth=1", "--no-tags"], [request.url, `+${name}:refs/fetched`]);
  return commitOf(git, "refs/fetched", request);
}

/** The full name of the ref at the remote. A tag goes before a branch of the same name, as for git itself. */
async function resolveName(git: GitOptions, { url, ref }: SafeRequest): Promise<string> {
  const wanted =
    ref === null ? ["HEAD"] : [ref, `refs/${ref}`, `refs/tags/${ref}`, `refs/heads/${ref}`];
  const listed = await list(git, url, wanted);
  if (listed.code !== 0) throw remoteError(url, listed);
  const names = listed.stdout
    .toString("utf8")
    .split("\n")
    .map((line) => line.split("\t")[1]);
  const found = wanted
    .filter((name) => name === "HEAD" || name.startsWith("refs/"))
    .find((name) => names.includes(name));
  if (found !== undefined) return found;
  throw new GlasshouseError(
    "not-found",
    ref === null
      ? `The repository ${url} is empty: its HEAD names no commit.`
      : `The repository ${url} has no tag or branch ${ref}. A commit is named by all of its digits.`,
  );
}

/** The first word with the host. It is short, so one that accepts the connection and then says nothing is found out soon. */
async function list(git: GitOptions, url: string, names: readonly string[]): Promise<GitOutcome> {
  const late = AbortSignal.timeout(listingMs);
  const signal = AbortSignal.any([git.signal, late]);
  try {
    const options = { limitBytes: listingBytes };
    return await runGit({ ...git, signal }, ["ls-remote", "--", url, ...names], options);
  } catch (error) {
    if (!late.aborted || git.signal.aborted) throw error;
    const message = `The repository ${url} did not say within ${listingMs / 1000} s what it has.`;
    throw new GlasshouseError("timeout", message, { cause: error });
  }
}

/** Most servers give any commit by its id; for the others all branches and tags are fetched. */
async function fetchById(git: GitOptions, url: string, commit: string): Promise<string> {
  const direct = await tryFetch(git, ["--depth=1", "--no-tags"], [url, commit]);
  if (direct.code === 0) return commitOf(git, commit, { url, ref: commit });
  const refs = ["+refs/heads/*:refs/all/heads/*", "+refs/tags/*:refs/all/tags/*"];
  await fetchWithin(git, ["--no-tags"], [url, ...refs]);
  return commitOf(git, commit, { url, ref: commit });
}

async function commitOf(
  git: GitOptions,
  name: string,
  { url, ref }: Pick<SafeRequest, "url" | "ref">,
): Promise<string> {
  const found = await runGit(
    git,
    ["rev-parse", "--verify", "--quiet", "--end-of-options", `${name}^{commit}`],
    { limitBytes: messageBytes },
  );
  const commit = found.stdout.toString("ascii").trim();
  if (found.code === 0 && isCommit(commit)) return commit;
  throw new GlasshouseError("not-found", `The repository ${url} has no commit ${ref ?? "HEAD"}.`);
}

async function fetchWithin(
  git: GitOptions,
  options: readonly string[],
  from: readonly string[],
): Promise<void> {
  const fetched = await tryFetch(git, options, from);
  if (fetched.code !== 0) throw remoteError(from[0] ?? "", fetched);
}

/** Ends the fetch when it has taken too much room. */
async function tryFetch(
  git: GitOptions,
  options: readonly string[],
  from: readonly string[],
): Promise<GitOutcome> {
  const tooLarge = new AbortController();
  const timer = setInterval(() => {
    void refuseTooLarge(git.directory, tooLarge);
  }, sizeCheckMs);
  try {
    const signal = AbortSignal.any([git.signal, tooLarge.signal]);
    const fixed = ["fetch", "--quiet", "--no-write-fetch-head", "--no-recurse-submodules"];
    return await runGit({ ...git, signal }, [...fixed, ...options, "--", ...from], {
      limitBytes: messageBytes,
    });
  } finally {
    clearInterval(timer);
  }
}

async function refuseTooLarge(directory: string, tooLarge: AbortController): Promise<void> {
  if ((await sizeOf(directory)) <= fetchedBytes) return;
  tooLarge.abort(
    new GlasshouseError(
      "too-large",
      `The repository takes more than ${fetchedBytes} bytes to fetch.`,
    ),
  );
}

async function sizeOf(directory: string): Promise<number> {
  let bytes = 0;
  try {
    for await (const entry of await opendir(join(directory, "objects/pack")))
      bytes += (await stat(join(directory, "objects/pack", entry.name))).size;
  } catch {
    // Files come and go while they are counted; the next look counts them again.
  }
  return bytes;
}

/** What git said about the remote, as an error of the product. */
function remoteError(url: string, { stderr, code }: GitOutcome): GlasshouseError {
  const lines = stderr.split("\n").map((line) => line.trim());
  const fatal = lines.filter((line) => line.startsWith("fatal:"));
  const said = (fatal.length > 0 ? fatal : lines).join(" ").trim().slice(0, 500) || `exit ${code}`;
  if (/could not read Username|Authentication failed|HTTP 40[13]/iu.test(said))
    return new GlasshouseError(
      "not-found",
      `The repository ${url} does not exist, or it wants a login that this server has not: the operator gives one with git.hosts. ${said}`,
    );
  if (/not found|does not exist|not appear to be a git repository|dubious ownership/iu.test(said))
    return new GlasshouseError("not-found", `The repository ${url} cannot be read: ${said}`);
  return new GlasshouseError("unavailable", `The repository ${url} cannot be reached: ${said}`);
}
