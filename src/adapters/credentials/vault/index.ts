import { renewLease, revokeLease, takeLease, type Lease } from "../../../clients/vault/lease.ts";
import type { VaultSession } from "../../../clients/vault/session.ts";
import { waitingForPolicy } from "../../../clients/vault/waiting.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Borrower, CredentialLender, Loan } from "../../../ports/credentials.ts";
import type { Log } from "../../../ports/telemetry.ts";

/** A variable that gets a field of what Vault makes at a path. Those of one path come from one lease. */
export interface LeasedVariable {
  readonly name: string;
  readonly path: string;
  readonly field: string;
}

export interface VaultLenderOptions {
  readonly session: VaultSession;
  readonly clock: Pick<Clock, "after">;
  readonly log: Log;
  readonly granted: (to: Borrower) => readonly LeasedVariable[];
}

const againMs = 5_000;
const endMs = 5_000;

/** Lends what secret engines of Vault make: users of databases, keys of clouds. */
export function vaultLender(options: VaultLenderOptions): CredentialLender {
  const { session, granted } = options;
  return {
    lends: (to) => granted(to).length > 0,
    async lend(to, { record, signal }) {
      const variables = granted(to);
      const taken: Lease[] = [];
      try {
        for (const path of new Set(variables.map((variable) => variable.path))) {
          const lease = await take(session, path, signal);
          taken.push(lease);
          await record(lease.id);
        }
        const paths = [...new Set(variables.map((variable) => variable.path))];
        const values = variables.map(
          (variable) =>
            [variable.name, fieldOf(taken[paths.indexOf(variable.path)], variable)] as const,
        );
        return loanOf(options, taken, Object.fromEntries(values));
      } catch (error) {
        await endAll(session, taken).catch(() => undefined);
        throw error;
      }
    },
    end: (leases) =>
      endAll(
        session,
        leases.map((id) => ({ id })),
      ),
  };
}

async function take(session: VaultSession, path: string, signal: AbortSignal): Promise<Lease> {
  try {
    return await waitingForPolicy(() => takeLease(session, path, { signal }));
  } catch (cause) {
    const code = cause instanceof GlasshouseError ? cause.code : null;
    if (code !== "invalid-request" && code !== "not-found") throw cause;
    const words = cause instanceof Error ? cause.message : String(cause);
    throw new GlasshouseError(
      "invalid-configuration",
      `No credentials could be made at ${path}: ${words} Look at what the executor's env grants, and at that role in Vault.`,
      { cause },
    );
  }
}

function fieldOf(lease: Lease | undefined, { name, path, field }: LeasedVariable): string {
  const value = lease?.data[field];
  if (typeof value === "string") return value;
  const found = Object.keys(lease?.data ?? {}).join(", ");
  throw new GlasshouseError(
    "invalid-configuration",
    `${name} is to get ${field} of what Vault makes at ${path}, which has ${found}.`,
  );
}

function loanOf(
  { session, clock, log }: VaultLenderOptions,
  leases: readonly Lease[],
  variables: Loan["variables"],
): Loan {
  const timers = new Map<string, () => void>();
  let isEnded = false;
  const renewLater = (lease: Lease, delayMs: number): void => {
    if (isEnded || !lease.renewable) return;
    const forget = clock.after(delayMs, () => void renew(lease));
    timers.set(lease.id, forget);
  };
  const renew = async (lease: Lease): Promise<void> => {
    try {
      const renewed = await renewLease(session, lease);
      if (renewed !== null) renewLater(renewed, Math.max(againMs / 10, (renewed.ttlMs * 2) / 3));
    } catch (error) {
      log.warn("A step's credentials could not be renewed; it is tried again", { error });
      renewLater(lease, againMs);
    }
  };
  for (const lease of leases) renewLater(lease, (lease.ttlMs * 2) / 3);
  return {
    leases: leases.map(({ id }) => id),
    variables,
    async isOver() {
      for (const lease of leases) if ((await renewLease(session, lease)) === null) return true;
      return false;
    },
    async end() {
      isEnded = true;
      for (const forget of timers.values()) forget();
      await endAll(session, leases);
    },
  };
}

/** All that can be ended, also when one cannot. Errors: that of the first that could not. */
async function endAll(session: VaultSession, leases: readonly Pick<Lease, "id">[]): Promise<void> {
  const faults: unknown[] = [];
  for (const { id } of leases) {
    try {
      // A step's end waits for this, and what was not ended now is ended later.
      const signal = AbortSignal.timeout(endMs);
      await waitingForPolicy(() => revokeLease(session, id, { signal }));
    } catch (error) {
      faults.push(error);
    }
  }
  if (faults.length > 0) throw faults[0];
}
