import { GlasshouseError } from "../../domain/errors.ts";

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
