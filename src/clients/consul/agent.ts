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
    readonly intervalMs: number;
    readonly timeoutMs: number;
    /** The agent forgets the service when the check fails for so long. */
    readonly forgetAfterMs: number;
  };
}

/** Tells the agent of the service, or what is new about it. Safe to repeat. Errors: those of the client. */
export async function registerService(
  client: ConsulClient,
  { id, name, tags, address, port, meta, check }: Registration,
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
        Interval: `${check.intervalMs}ms`,
        Timeout: `${check.timeoutMs}ms`,
        DeregisterCriticalServiceAfter: `${check.forgetAfterMs}ms`,
      },
    },
    repeatable: true,
    signal,
  });
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
