import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GlasshouseError } from "../../../domain/errors.ts";
import { sourceLimits, type GitSource } from "../../../ports/source.ts";
import { checkRequest } from "./request.ts";
import type { GitOptions } from "./run.ts";

export interface GitSourceOptions {
  /** Where fetched repositories lie for a moment; the system's directory for temporary files when absent. */
  readonly temporary?: string;
  /** The server's environment: proxies, certificates and PATH are taken from it. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs?: number;
}

/** Templates from git, fetched into a directory that is gone when the call ends. */
export function gitSource(options: GitSourceOptions): GitSource {
  const timeoutMs = options.timeoutMs ?? sourceLimits.gitTimeoutMs;
  return {
    async fetch(request, signal) {
      const safe = checkRequest(request);
      const directory = await mkdtemp(join(options.temporary ?? tmpdir(), "glasshouse-git-"));
      const deadline = AbortSignal.timeout(timeoutMs);
      const git: GitOptions = {
        directory,
        protocols: safe.protocols,
        signal: AbortSignal.any([signal, deadline]),
        env: options.env,
      };
      try {
        const [{ runGit }, { fetchCommit }, { readTree }] = await loadGit();
        await runGit(git, ["init", "--bare", "--quiet", "--template=", "."], { limitBytes: 4096 });
        const commit = await fetchCommit(git, safe);
        return { files: await readTree(git, commit, safe.path), commit };
      } catch (error) {
        throw deadline.aborted && !signal.aborted ? late(safe.url, timeoutMs) : error;
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    },
  };
}

/** Loaded by the first fetch, so that it does not slow the start of the server. */
function loadGit() {
  return Promise.all([import("./run.ts"), import("./fetch.ts"), import("./tree.ts")]);
}

function late(url: string, timeoutMs: number): GlasshouseError {
  return new GlasshouseError(
    "timeout",
    `The repository ${url} was not fetched within ${timeoutMs / 1000} s.`,
  );
}
