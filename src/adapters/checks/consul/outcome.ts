import type { ConsulClient } from "../../../clients/consul/client.ts";
import {
  nodeHealth,
  serviceHealth,
  type NodeCheck,
  type Seen,
  type ServiceInstance,
} from "../../../clients/consul/health.ts";
import type { WaitFor } from "../../../clients/consul/watch.ts";
import type { CheckOutcome } from "../../../domain/check.ts";
import type { CheckTarget } from "../../../ports/check.ts";

export type ConsulTarget = Extract<CheckTarget, { kind: "consul" }>;

/** Asks Consul once for a target, at once or when it changes. Errors: those of the client. */
export async function lookAt(
  client: ConsulClient,
  { of, datacenter }: ConsulTarget,
  how: { readonly wait: WaitFor | null; readonly signal: AbortSignal },
): Promise<Seen<CheckOutcome>> {
  if ("node" in of) {
    const seen = await nodeHealth(client, { ...of, datacenter, ...how });
    return { ...seen, value: nodeOutcome(seen) };
  }
  const seen = await serviceHealth(client, { ...of, datacenter, ...how });
  return { ...seen, value: serviceOutcome(seen) };
}

/** It says nothing of what was asked for. */
export function unknown(detail: string): CheckOutcome {
  return { healthy: false, detail, isUnknown: true };
}

/** What the token hides from us may be there: then nothing was seen. */
const hidden = unknown("Consul hides it from the token: it needs service and node read");

/** Healthy when an instance passes all its checks: one that who looks the service up would be sent to. */
function serviceOutcome({
  value: instances,
  isFiltered,
}: Seen<readonly ServiceInstance[]>): CheckOutcome {
  const passing = instances.filter(({ failing }) => failing.length === 0);
  if (instances.length === 0 && isFiltered) return hidden;
  if (instances.length === 0)
    return { healthy: false, detail: "Consul knows no instance that the token may see" };
  const counted = `${passing.length} of ${instances.length} ${instances.length === 1 ? "instance passes" : "instances pass"}`;
  if (passing.length > 0) return { healthy: true, detail: counted };
  const [first] = instances.flatMap(({ node, failing }) =>
    failing.map(({ name, output }) => `${name} on ${node}: ${shortened(output)}`),
  );
  return { healthy: false, detail: `${counted}; ${first ?? ""}` };
}

/** Healthy when Consul knows checks of the node itself, and all of them pass. */
function nodeOutcome({ value: checks, isFiltered }: Seen<readonly NodeCheck[]>): CheckOutcome {
  if (checks.length === 0 && isFiltered) return hidden;
  if (checks.length === 0)
    return { healthy: false, detail: "Consul knows no check of the node that the token may see" };
  const failing = checks.filter(({ isPassing }) => !isPassing);
  const counted = `${checks.length - failing.length} of ${checks.length} ${checks.length === 1 ? "check passes" : "checks pass"}`;
  const [first] = failing;
  if (first === undefined) return { healthy: true, detail: counted };
  return { healthy: false, detail: `${counted}; ${first.name}: ${shortened(first.output)}` };
}

function shortened(output: string): string {
  return output.trim().slice(0, 200);
}
