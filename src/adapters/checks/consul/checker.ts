import type { ConsulClient } from "../../../clients/consul/client.ts";
import type { Checker, CheckTarget } from "../../../ports/check.ts";
import { Following } from "./following.ts";
import { lookAt, unknown, type ConsulTarget } from "./outcome.ts";

/**
 * Healthy when Consul knows an instance of the service all of whose checks pass, those of its node included: one that a client
 * which looks the service up would be sent to. A node is healthy when all checks of it itself pass.
 */
export function configuredChecker(client: ConsulClient): Checker {
  const following = new Following(client);
  return {
    kind: "consul",
    async check(target, { timeoutMs, signal }) {
      const consulTarget = checked(target);
      signal.throwIfAborted();
      const deadline = AbortSignal.timeout(timeoutMs);
      try {
        const either = AbortSignal.any([signal, deadline]);
        return (await lookAt(client, consulTarget, { wait: null, signal: either })).value;
      } catch (error) {
        signal.throwIfAborted();
        if (deadline.aborted) return unknown(`no answer within ${timeoutMs} ms`);
        return unknown(error instanceof Error ? error.message : String(error));
      }
    },
    follow: (target, told) => following.follow(checked(target), told),
  };
}

function checked(target: CheckTarget): ConsulTarget {
  if (target.kind === "consul") return target;
  throw new TypeError(`not a consul target: ${target.kind}`);
}
