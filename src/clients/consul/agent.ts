import type { ConsulClient } from "./client.ts";

/** A service as an agent is told of it. */
export interface Registration {
  readonly id: string;
  readonly name: string;
  readonly tags: readonly string[];
  readonly address: string;
  readonly port: number;
  readonly meta: Readonly<Record<string, string>>;
  readonly check: {
    readonly name: string;
    /** The agent asks this URL; 2xx is passing, 429 a warning, all else critical. */
    readonly http: string;
    /** Whether a certificate that the agent does not trust will do, too. */
    readonly trustsAny: boolean;
    readonly intervalMs: number;
    readonly timeoutMs: number;
    /** The agent forgets the service when the check fails for so long. */
    readonly forgetAfterMs: number;
  };
  /** Its proxy in the mesh, which the agent registers with it and takes out with it. Null: none. */
  readonly sidecar: Sidecar | null;
}

export interface Sidecar {
  /** Where the proxy takes connections from the mesh; of the agent's own range when null. */
  readonly port: number | null;
  /** Services that the proxy leads to, each on a port of loopback. */
  readonly upstreams: readonly { readonly service: string; readonly port: number }[];
}

/** Tells the agent of the service, or what is new about it. Safe to repeat. Errors: those of the client. */
export async function registerService(
  client: ConsulClient,
  { id, name, tags, address, port, meta, check, sidecar }: Registration,
  signal: AbortSignal,
): Promise<void> {
  await client.call({
    method: "PUT",
    path: "/agent/service/register",
    // Without this a check that is not in the body any more would stay.
    query: { "replace-existing-checks": true },
    body: {
      ID: id,
      Name: name,
      Tags: tags,
      Address: address,
      Port: port,
      Meta: meta,
      Check: {
        CheckID: `${id}:http`,
        Name: check.name,
        HTTP: check.http,
        TLSSkipVerify: check.trustsAny,
        Interval: `${check.intervalMs}ms`,
        Timeout: `${check.timeoutMs}ms`,
        DeregisterCriticalServiceAfter: `${check.forgetAfterMs}ms`,
      },
      ...(sidecar === null ? {} : { Connect: { SidecarService: sidecarBody(sidecar) } }),
    },
    repeatable: true,
    signal,
  });
}

/** What is left out is as the agent has it: an alias of the service's health, and a check that the proxy takes connections. */
function sidecarBody({ port, upstreams }: Sidecar): object {
  return {
    ...(port === null ? {} : { Port: port }),
    Proxy: {
      Upstreams: upstreams.map((upstream) => ({
        DestinationName: upstream.service,
        LocalBindPort: upstream.port,
      })),
    },
  };
}

/** Safe to repeat: one that the agent does not know is gone. Errors: those of the client. */
export async function deregisterService(
  client: ConsulClient,
  id: string,
  signal: AbortSignal,
): Promise<void> {
  await client.call({
    method: "PUT",
    path: `/agent/service/deregister/${encodeURIComponent(id)}`,
    repeatable: true,
    expected: [404],
    signal,
  });
}
