import type { ConsulClient } from "../../../clients/consul/client.ts";
import type { Checker } from "../../../ports/check.ts";

const unconfigured = "no Consul is configured: set consul.address";

/** What is said to Consul is loaded only where there is one. Null: none is configured, and every look says so. */
export async function consulChecker(client: ConsulClient | null): Promise<Checker> {
  if (client === null) return unconfiguredChecker;
  const { configuredChecker } = await import("./checker.ts");
  return configuredChecker(client);
}

const unconfiguredChecker: Checker = {
  kind: "consul",
  async check(target, { signal }) {
    if (target.kind !== "consul") throw new TypeError(`not a consul target: ${target.kind}`);
    signal.throwIfAborted();
    return { healthy: false, detail: unconfigured, isUnknown: true };
  },
  follow(_target, told) {
    told.lost(unconfigured);
    return true;
  },
};
