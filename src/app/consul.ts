import { ConsulClient, consulPolicies } from "../clients/consul/client.ts";
import { mostFollowed } from "../clients/consul/watch.ts";
import { HttpConnection } from "../clients/http/connection.ts";
import type { Remotes } from "../clients/resilience/remotes.ts";
import type { Config } from "../contract/config.ts";
import { failureOf, GlasshouseError } from "../domain/errors.ts";
import type { Clock } from "../ports/clock.ts";
import { resolveReference } from "./config-grants.ts";

type Variables = Readonly<Record<string, string | undefined>>;

const advice =
  "Work that needs Consul pauses and goes on by itself when it answers. Look at Consul, and at consul.address and consul.token.";
/**
 * As many as steps may be worked on, and some; and those that wait for changes of what checks follow, and of this server. Together
 * less than the 200 that Consul takes of one address unless it is told otherwise (`limits.http_max_conns_per_client`).
 */
const connections = { calls: 64, watches: mostFollowed + 2 } as const;

/** A client for the Consul that is configured, or null. Opens no connection. Errors: `invalid-configuration`. */
export async function consulClient(
  { consul }: Pick<Config, "consul">,
  of: {
    readonly env: Variables;
    readonly remotes: Remotes;
    readonly clock: Pick<Clock, "monotonic">;
  },
): Promise<ConsulClient | null> {
  const { address, tls, datacenter = null, namespace = null, partition = null } = consul;
  if (address === undefined) return null;
  // A variable that is not there never will be, while a file may still come.
  if (consul.token?.startsWith("env:") === true)
    await resolveReference("consul.token", consul.token, of.env);
  const ca =
    tls.ca === undefined ? null : await resolveReference("consul.tls.ca", `file:${tls.ca}`, of.env);
  const shared = { kind: "consul", advice } as const;
  const server = { url: address, name: "Consul", ...(ca === null ? {} : { tls: { ca } }) };
  return new ConsulClient({
    connection: new HttpConnection({ ...server, connections: connections.calls }),
    watching: new HttpConnection({ ...server, connections: connections.watches }),
    calls: of.remotes.remote({ ...consulPolicies.calls, ...shared, name: "consul" }),
    watches: of.remotes.remote({ ...consulPolicies.watches, ...shared, name: "consul watches" }),
    token: tokenReader(consul.token, of),
    datacenter,
    namespace,
    partition,
  });
}

/** A token in a file may be replaced while the server runs: it is looked up again after so long. */
const tokenKeptMs = 2_000;

/** A file that cannot be read now leaves the token that was known; without one the call is tried again. */
function tokenReader(
  reference: string | undefined,
  { env, clock }: { readonly env: Variables; readonly clock: Pick<Clock, "monotonic"> },
): () => Promise<string | null> {
  if (reference === undefined) return () => Promise.resolve(null);
  let readAtMs = Number.NEGATIVE_INFINITY;
  let known: string | null = null;
  return async () => {
    const now = clock.monotonic();
    if (known !== null && now - readAtMs <= tokenKeptMs) return known;
    readAtMs = now;
    try {
      known = await resolveReference("consul.token", reference, env);
    } catch (cause) {
      if (known === null)
        throw new GlasshouseError("unavailable", failureOf(cause).message, { cause });
    }
    return known;
  };
}
