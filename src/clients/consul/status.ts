import { z } from "zod";
import { GlasshouseError } from "../../domain/errors.ts";
import type { ConsulClient } from "./client.ts";

/**
 * Whether Consul can be worked with now: it has a leader, and knows the token. Errors: those of the client; `unavailable` without
 * a leader.
 */
export async function lookAtConsul(
  client: ConsulClient,
  signal: AbortSignal,
): Promise<{ readonly leader: string }> {
  const call = { method: "GET", repeatable: false, signal } as const;
  const answer = await client.call({ ...call, path: "/status/leader" });
  const leader = z
    .string()
    .catch("")
    .parse(JSON.parse(answer.body.toString("utf8")));
  if (leader === "") throw new GlasshouseError("unavailable", "Consul has no leader now.");
  // What a token may do is not asked for: only whether it is one.
  await client.call({ ...call, path: "/acl/token/self", expected: [401, 404] });
  return { leader };
}
