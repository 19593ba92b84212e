import type { ConsulClient } from "../../../clients/consul/client.ts";
import type { ServiceInstance } from "../../../clients/consul/health.ts";
import type { CheckOutcome } from "../../../domain/check.ts";
import type { Checker } from "../../../ports/check.ts";

/**
 * Healthy when Consul knows an instance of the service all of whose checks pass, those of its node included: one that a client
 * which looks the service up would be sent to. Null: no Consul is configured, and every look says so.
 */
export function consulChecker(client: ConsulClient | null): Checker {
  return {
    kind: "consul",
    async check(target, { timeoutMs, signal }) {
      if (target.kind !== "consul") throw new TypeError(`not a consul target: ${target.kind}`);
      signal.throwIfAborted();
      if (client === null)
        return { healthy: false, detail: "no Consul is configured: set consul.address" };
      const { serviceHealth } = await import("../../../clients/consul/health.ts");
      const deadline = AbortSignal.timeout(timeoutMs);
      const { service, datacenter, tag } = target;
      try {
        const either = AbortSignal.any([signal, deadline]);
        const query = { service, datacenter, tag, signal: either };
        return outcomeOf((await serviceHealth(client, query)).value);
      } catch (error) {
        signal.throwIfAborted();
        if (deadline.aborted) return { healthy: false, detail: `no answer within ${timeoutMs} ms` };
        return { healthy: false, detail: error instanceof Error ? error.message : String(error) };
      }
    },
  };
}

function outcomeOf(instances: readonly ServiceInstance[]): CheckOutcome {
  const passing = instances.filter(({ failing }) => failing.length === 0);
  if (instances.length === 0)
    return { healthy: false, detail: "Consul knows no instance that the token may see" };
  const counted = `${passing.length} of ${instances.length} ${instances.length === 1 ? "instance passes" : "instances pass"}`;
  if (passing.length > 0) return { healthy: true, detail: counted };
  const [first] = instances.flatMap(({ node, failing }) =>
    failing.map(({ name, output }) => `${name} on ${node}: ${output.trim().slice(0, 200)}`),
  );
  return { healthy: false, detail: `${counted}; ${first ?? ""}` };
}
