import { z } from "zod";
import { GlasshouseError } from "../../domain/errors.ts";
import type { ConsulClient } from "./client.ts";

/**
 * Whether Consul can be worked with now: it has a leader, and knows the token. Asked once. Errors: those of the client;
 * `unavailable` without a leader, `timeout`.
 */
export async function lookAtConsul(
  client: ConsulClient,
  limitMs: number,
): Promise<{ readonly leader: string }> {
  const signal = AbortSignal.timeout(limitMs);
  const call = { method: "GET", repeatable: false, signal } as const;
  try {
    const answer = await client.call({ ...call, path: "/status/leader" });
    const leader = z
      .string()
      .catch("")
      .parse(JSON.parse(answer.body.toString("utf8")));
    if (leader === "") throw new GlasshouseError("unavailable", "Consul has no leader now.");
    // What a token may do is not asked for: only whether it is one.
    await client.call({ ...call, path: "/acl/token/self", expected: [401, 404] });
    return { leader };
  } catch (cause) {
    if (!signal.aborted) throw cause;
    const message = `Consul did not answer within ${limitMs / 1000} s.`;
    throw new GlasshouseError("timeout", message, { cause });
  }
}
