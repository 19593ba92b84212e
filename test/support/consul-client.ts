import { ConsulClient, consulPolicies } from "../../src/clients/consul/client.ts";
import { HttpConnection } from "../../src/clients/http/connection.ts";
import { Remotes } from "../../src/clients/resilience/remotes.ts";
import { SystemClock } from "../../src/adapters/clock/system/index.ts";
import { noMetrics } from "../../src/ports/telemetry.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

/** A client as the server makes it, with its own breaker. */
export function consulClient(of: {
  readonly url: string;
  readonly token: string | null;
  readonly tls?: { readonly ca?: string };
}): ConsulClient {
  const { url, token, tls } = of;
  const about = { url, name: "Consul", connections: 64 };
  return consulClientOver(
    new HttpConnection({ ...about, ...(tls === undefined ? {} : { tls }) }),
    token,
  );
}

/** The same over a connection of the test's own. */
export function consulClientOver(
  connection: Pick<HttpConnection, "send">,
  token: string | null,
): ConsulClient {
  const remotes = new Remotes({ metrics: noMetrics, log: quiet, clock: new SystemClock() });
  const about = { kind: "consul", advice: "Look at Consul." } as const;
  return new ConsulClient({
    connection,
    watching: connection,
    calls: remotes.remote({ ...consulPolicies.calls, ...about, name: "consul" }),
    watches: remotes.remote({ ...consulPolicies.watches, ...about, name: "consul watches" }),
    token: () => Promise.resolve(token),
    datacenter: null,
    namespace: null,
    partition: null,
  });
}
