import { GlasshouseError } from "../../domain/errors.ts";
import type { VaultSession } from "./session.ts";

/**
 * What Vault denies waits as what cannot be reached does: it is the operator who mends a policy, and then the work goes on by
 * itself. Nothing was done. Errors: `unavailable` in place of `forbidden`.
 */
export async function waitingForPolicy<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof GlasshouseError) || error.code !== "forbidden") throw error;
    throw new GlasshouseError(
      "unavailable",
      `${error.message} Work waits until the policy of this server's token allows it.`,
      { cause: error },
    );
  }
}

/** Does what a step does in Vault, unless it was stopped before. Errors: `step-interrupted`; as `waitingForPolicy`. */
export async function asVaultStep<T>(signal: AbortSignal, act: () => Promise<T>): Promise<T> {
  if (signal.aborted)
    throw new GlasshouseError("step-interrupted", "The step was stopped before it began.");
  return waitingForPolicy(act);
}

/** Errors: `not-available` on a server without a Vault. */
export function sessionOrRefusal(session: VaultSession | null): VaultSession {
  if (session !== null) return session;
  throw new GlasshouseError(
    "not-available",
    "This server has no Vault: set vault.address, then try again.",
  );
}
