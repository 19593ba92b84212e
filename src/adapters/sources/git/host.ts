import type { PolicyOptions } from "../../../clients/resilience/policy.ts";
import type { Remote } from "../../../clients/resilience/remote.ts";
import type { Remotes } from "../../../clients/resilience/remotes.ts";
import { GlasshouseError } from "../../../domain/errors.ts";

export type HostPolicy = Pick<PolicyOptions, "tries" | "retry" | "breaker" | "places">;

/** A fetch is safe to repeat; a host that is down is asked again after some seconds, then less and less often. */
export const hostPolicy: HostPolicy = {
  tries: 3,
  retry: { baseMs: 500, mostMs: 4_000 },
  breaker: { failures: 5, firstMs: 5_000, mostMs: 120_000 },
  // Each is a process and a connection; whoever registers many templates at once waits for a place.
  places: { calls: 8, waiting: 64 },
};

/** The host that the address names; null for a repository on this machine's disk. A breaker is per host: one that is down says nothing of others. */
export function hostOf(
  remotes: Pick<Remotes, "remote">,
  of: { readonly url: string; readonly timeoutMs: number; readonly policy: HostPolicy },
): Remote | null {
  const { protocol, host } = new URL(of.url);
  if (protocol === "file:") return null;
  return remotes.remote({
    ...of.policy,
    kind: "git",
    name: `git ${host}`,
    advice: `Templates of ${host} cannot be registered until it answers: look at the host, at proxies and certificates. Everything else goes on.`,
    deadlineMs: of.timeoutMs,
    isDown,
  });
}

/** Git that cannot be started is this machine's fault, not the host's; a repository that is too large is nobody's. */
function isDown(error: unknown): boolean {
  if (!(error instanceof GlasshouseError) || error.row.kind !== "transient") return false;
  const { cause } = error;
  return !(cause instanceof Error && "syscall" in cause);
}
