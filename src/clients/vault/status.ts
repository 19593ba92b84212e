import { z } from "zod";
import { GlasshouseError } from "../../domain/errors.ts";
import type { VaultClient } from "./client.ts";
import type { VaultSession } from "./session.ts";

const healthSchema = z.object({
  initialized: z.boolean(),
  sealed: z.boolean(),
  version: z.string().catch(""),
});

/**
 * Whether Vault can be worked with now: it is there and not sealed, and knows who we are. Errors: those of the session;
 * `unavailable` while it is sealed or was never initialised.
 */
export async function lookAtVault(
  of: { readonly client: VaultClient; readonly session: VaultSession },
  signal: AbortSignal,
): Promise<{ readonly version: string }> {
  const answer = await of.client.call({
    method: "GET",
    // A standby passes requests on: it is as good as the active one.
    path: "sys/health?standbyok=true&perfstandbyok=true",
    token: null,
    global: true,
    repeatable: false,
    signal,
    expected: [429, 472, 473, 501, 503],
  });
  const { initialized, sealed, version } = healthSchema.parse(
    JSON.parse(answer.body.toString("utf8")),
  );
  if (!initialized) throw new GlasshouseError("unavailable", "Vault was never initialised.");
  if (sealed) throw new GlasshouseError("unavailable", "Vault is sealed.");
  await of.session.call({
    method: "GET",
    path: "auth/token/lookup-self",
    repeatable: false,
    signal,
  });
  return { version };
}
