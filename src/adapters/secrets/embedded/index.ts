import type { ByteSealer, SecretSealer } from "../../../ports/secrets.ts";
import { DataKey } from "./data-key.ts";
import { openDataKey, type EmbeddedSecretsOptions } from "./key-files.ts";

export { defaultKeyFile, type EmbeddedSecretsOptions } from "./key-files.ts";

/**
 * Opens the sealed store's key. Errors: `invalid-configuration` when a key file is missing, not the one that belongs to
 * the data, or readable by others.
 */
export async function openEmbeddedSecrets(
  options: EmbeddedSecretsOptions,
): Promise<SecretSealer & ByteSealer> {
  return new DataKey(await openDataKey(options));
}
