import type { ByteSealer, SecretSealer } from "../../../ports/secrets.ts";
import { DataKey } from "./data-key.ts";
import {
  openDataKey,
  openSharedDataKey,
  type EmbeddedSecretsOptions,
  type SharedWrappedKey,
} from "./key-files.ts";

export { embeddedKeeper } from "./keeper.ts";
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

/**
 * Opens the key of data that several replicas share. Errors: `invalid-configuration` when no key file is named, or it is
 * missing, not the one that belongs to the data, or readable by others; those of reading the shared key.
 */
export async function openSharedSecrets(
  keyFile: string | undefined,
  shared: SharedWrappedKey,
): Promise<SecretSealer & ByteSealer> {
  return new DataKey(await openSharedDataKey(keyFile, shared));
}
