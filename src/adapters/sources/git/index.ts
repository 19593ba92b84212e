import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Remotes } from "../../../clients/resilience/remotes.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import { sourceLimits, type GitSource, type SourceTree } from "../../../ports/source.ts";
import { hostOf, hostPolicy, type HostPolicy } from "./host.ts";
import { checkRequest, type SafeRequest } from "./request.ts";
import type { GitCredential, GitOptions } from "./run.ts";

export type { GitCredential } from "./run.ts";

export interface GitSourceOptions {
  /** Where fetched repositories lie for a moment; the system's directory for temporary files when absent. */
  readonly temporary?: string;
  /** The server's environment: proxies, certificates and PATH are taken from it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** By `host` or `host:port`; none when absent. */
  readonly credentials?: ReadonlyMap<string, GitCredential>;
  /** For a whole fetch with all of its tries; that of the port's limits when absent. */
  readonly timeoutMs?: number;
  /** Where the hosts of repositories are kept, with their breakers. */
  readonly remotes: Pick<Remotes, "remote">;
  /** Other than the usual in tests, which do not want to wait. */
  readonly policy?: HostPolicy;
}

/** Templates from git, fetched into a directory that is gone when the call ends. */
export function gitSource(options: GitSourceOptions): GitSource {
  const timeoutMs = options.timeoutMs ?? sourceLimits.gitTimeoutMs;
  return {
    async fetch(request, signal) {
      const safe = checkRequest(request);
      const host = hostOf(options.remotes, {
        url: safe.url,
        timeoutMs,
        policy: options.policy ?? hostPolicy,
      });
      if (host === null) return fetchLocal(options, safe, { timeoutMs, signal });
      return host.call((inTime) => fetchOnce(options, safe, inTime), {
        ...(signal === undefined ? {} : { signal }),
        repeatable: true,
      });
    },
  };
}

/** A repository on the disk: nothing to try again, but no end either without a limit. */
async function fetchLocal(
  options: GitSourceOptions,
  safe: SafeRequest,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
): Promise<Fetched> {
  const deadline = AbortSignal.timeout(timeoutMs);
  try {
    return await fetchOnce(options, safe, AbortSignal.any([deadline, ...(signal ? [signal] : [])]));
  } catch (error) {
    if (!deadline.aborted || signal?.aborted === true) throw error;
    const message = `The repository ${safe.url} was not fetched within ${timeoutMs / 1000} s.`;
    throw new GlasshouseError("timeout", message);
  }
}

type Fetched = SourceTree & { readonly commit: string };

async function fetchOnce(
  options: GitSourceOptions,
  safe: SafeRequest,
  signal: AbortSignal,
): Promise<Fetched> {
  const directory = await mkdtemp(join(options.temporary ?? tmpdir(), "glasshouse-git-"));
  const { protocols, url } = safe;
  const login = loginFor(options, url);
  const git: GitOptions = { directory, protocols, signal, env: options.env, login };
  try {
    const [{ runGit }, { fetchCommit }, { readTree }] = await loadGit();
    await runGit(git, ["init", "--bare", "--quiet", "--template=", "."], { limitBytes: 4096 });
    const commit = await fetchCommit(git, safe);
    return { files: await readTree(git, commit, safe.path), commit };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function loginFor({ credentials }: GitSourceOptions, url: string): GitOptions["login"] {
  const { host } = new URL(url);
  const credential = credentials?.get(host);
  return credential === undefined ? null : { ...credential, host };
}

/** Loaded by the first fetch, so that it does not slow the start of the server. */
function loadGit() {
  return Promise.all([import("./run.ts"), import("./fetch.ts"), import("./tree.ts")]);
}
