import { z } from "zod";
import { GlasshouseError } from "../../domain/errors.ts";
import type { VaultSession } from "./session.ts";

/** A secret that Vault made for whoever asked, and takes back at the end of its lease. */
export interface Lease {
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly ttlMs: number;
  readonly renewable: boolean;
}

interface LeaseOptions {
  readonly signal?: AbortSignal | undefined;
}

const leaseSchema = z.object({
  lease_id: z.string(),
  lease_duration: z.number(),
  renewable: z.boolean(),
  data: z.record(z.string(), z.unknown()).nullable(),
});
const renewedSchema = z.object({ lease_duration: z.number(), renewable: z.boolean() });

/**
 * Asks for a secret at a path such as `database/creds/shop`. Each call makes another one; one whose answer is lost ends by itself.
 * Errors: those of the session; `invalid-configuration` for a path without leases.
 */
export async function takeLease(
  session: VaultSession,
  path: string,
  { signal }: LeaseOptions = {},
): Promise<Lease> {
  const answer = await session.call({ method: "GET", path, repeatable: true, signal });
  const { lease_id: id, data, ...of } = leaseSchema.parse(JSON.parse(answer.body.toString("utf8")));
  if (id === "" || data === null)
    throw new GlasshouseError(
      "invalid-configuration",
      `What Vault has at ${path} has no lease: name a path that makes credentials, such as database/creds/<role>.`,
    );
  return { id, data, ttlMs: of.lease_duration * 1_000, renewable: of.renewable };
}

/** The lease with its new time, or null when it is over or was revoked. Errors: those of the session. */
export async function renewLease(
  session: VaultSession,
  lease: Lease,
  { signal }: LeaseOptions = {},
): Promise<Lease | null> {
  try {
    const answer = await session.call({
      method: "POST",
      // With the id in the path a policy can be for leases of one role.
      path: `sys/leases/renew/${lease.id}`,
      body: {},
      repeatable: true,
      signal,
    });
    const renewed = renewedSchema.parse(JSON.parse(answer.body.toString("utf8")));
    return { ...lease, ttlMs: renewed.lease_duration * 1_000, renewable: renewed.renewable };
  } catch (error) {
    const known = error instanceof GlasshouseError ? error : null;
    if (known?.code !== "invalid-request") throw error;
    // It is in force, and ends when it ends; the others are "lease not found" and "lease expired".
    return known.message.includes("not renewable") ? { ...lease, renewable: false } : null;
  }
}

/**
 * Vault takes back what it made, and goes on trying until it has. A lease that is over is no error. Safe to repeat. Errors: those
 * of the session.
 */
export async function revokeLease(
  session: VaultSession,
  id: string,
  { signal }: LeaseOptions = {},
): Promise<void> {
  await session.call({
    method: "POST",
    path: `sys/leases/revoke/${id}`,
    body: {},
    repeatable: true,
    expected: [400],
    signal,
  });
}
