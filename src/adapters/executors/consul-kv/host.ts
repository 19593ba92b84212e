import type { ConsulClient } from "../../../clients/consul/client.ts";
import { listKeys } from "../../../clients/consul/kv.ts";
import { GlasshouseError, type ErrorCode } from "../../../domain/errors.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import type { Found } from "./difference.ts";
import type { RecentLooks } from "./recent-looks.ts";
import { ownPrefix, type Place } from "./settings.ts";

export interface KvHost {
  /** Null when no Consul is configured. */
  readonly client: ConsulClient | null;
  /** Where keys are when a group names no datacenter; the agent's own when null. */
  readonly datacenter: string | null;
  /** What looks found that need not be looked at again while nothing changes. */
  readonly looks: RecentLooks;
}

/** Errors: `invalid-configuration` when there is none. */
export function clientOf({ client }: KvHost): ConsulClient {
  if (client !== null) return client;
  throw new GlasshouseError(
    "invalid-configuration",
    "No Consul is configured: set consul.address, and consul.token when it has ACLs.",
  );
}

/** What was found, and Consul's index of the prefix then. */
export interface SeenPlace extends Found {
  readonly index: number;
}

/** What Consul has at each place, one request each. */
export async function look(
  client: ConsulClient,
  ctx: Pick<ExecutorContext, "signal">,
  places: readonly Place[],
): Promise<readonly SeenPlace[]> {
  const found: SeenPlace[] = [];
  for (const place of places) {
    throwIfStopped(ctx);
    const { datacenter } = place;
    const options = { datacenter, signal: ctx.signal };
    const { value, index } = await listKeys(client, place.prefix, options);
    found.push({ place, index, entries: value.filter(({ key }) => !key.startsWith(ownPrefix)) });
  }
  return found;
}

export function throwIfStopped({ signal }: Pick<ExecutorContext, "signal">): void {
  if (!signal.aborted) return;
  if (signal.reason instanceof GlasshouseError) throw signal.reason;
  throw new GlasshouseError("step-interrupted", "It was stopped.");
}

/**
 * Does it, with errors in the words and classes of steps: what may pass pauses the step, a refusal is tried again by the step's
 * policy (a token that was just made is not known everywhere at once), all else is final.
 */
export async function asStep<T>(ctx: ExecutorContext, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throwIfStopped(ctx);
    throw error instanceof GlasshouseError ? translate(ctx, error) : error;
  }
}

/** Refusals of Consul that asking once more does not change. */
const finalCodes: readonly ErrorCode[] = ["too-large", "invalid-request", "not-found"];

function translate(ctx: ExecutorContext, error: GlasshouseError): GlasshouseError {
  const { code, message, retryAfterMs } = error;
  const wait = retryAfterMs === null ? {} : { retryAfterMs };
  if (code === "timeout" || code === "too-many")
    return new GlasshouseError("unavailable", message, { cause: error, ...wait });
  if (code === "forbidden")
    return new GlasshouseError(
      "provider-failed",
      `Group ${ctx.group}: ${message} Nothing is changed or removed on a refusal. The token needs a policy as in docs/consul.md.`,
      { cause: error },
    );
  if (!finalCodes.includes(code)) return error;
  return new GlasshouseError("step-failed", `Group ${ctx.group}: ${message}`, { cause: error });
}
