import { join } from "node:path";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { ByteSealer, SecretSealer } from "../../../ports/secrets.ts";
import { DataKey } from "./data-key.ts";
import { filePlace, fileWrapper } from "./key-files.ts";
import { transitWrapper, type TransitSource } from "./transit-wrapper.ts";
import { openWrappedKey, type KeyWrapper, type WrappedKeyPlace } from "./wrapping.ts";

export { embeddedAuthority } from "./authority.ts";
export { embeddedKeeper } from "./keeper.ts";
export { defaultKeyFile } from "./key-files.ts";
export type { TransitSource } from "./transit-wrapper.ts";
export type { WrappedKeyPlace } from "./wrapping.ts";

/** What wraps the data key: the path of a key file, or a key of Vault. */
export type KeySource = string | TransitSource;

export interface KeyChoice {
  readonly key: KeySource;
  /** What has wrapped it until now, when that is to change. */
  readonly previousKey?: KeySource | undefined;
  /** Told of what was done to the wrapped key, for the log. */
  readonly changed?: (what: string) => void;
}

export interface EmbeddedSecretsOptions extends KeyChoice {
  /** Directory of the wrapped data key; made when absent. */
  readonly directory: string;
  /**
   * True only when there is no data yet: then missing keys are made. Otherwise a missing key is an error, because a new
   * one could not open what is there.
   */
  readonly mayCreate: boolean;
}

/**
 * Opens the sealed store's key. Errors: `invalid-configuration` when a key file is missing, not the one that belongs to
 * the data, or readable by others, or Vault does not open it; those of reaching Vault.
 */
export async function openEmbeddedSecrets(
  options: EmbeddedSecretsOptions,
): Promise<SecretSealer & ByteSealer> {
  const { directory, mayCreate } = options;
  const place = filePlace(join(directory, "data-key"));
  return open(options, { place, mayCreate, wrapperOf: ownWrapper });
}

/**
 * Opens the key of data that several replicas share. A key file is never made: each replica would make another one. Errors: as
 * `openEmbeddedSecrets`, and those of reading the shared key.
 */
export async function openSharedSecrets(
  choice: Omit<KeyChoice, "key"> & { readonly key: KeySource | undefined },
  shared: WrappedKeyPlace,
): Promise<SecretSealer & ByteSealer> {
  const { key } = choice;
  if (key === undefined) throw notNamed();
  return open({ ...choice, key }, { place: shared, mayCreate: true, wrapperOf: replicaWrapper });
}

async function open(
  { key, previousKey, changed = () => {} }: KeyChoice,
  of: {
    readonly place: WrappedKeyPlace;
    readonly mayCreate: boolean;
    readonly wrapperOf: (path: string) => KeyWrapper;
  },
): Promise<DataKey> {
  const { place, mayCreate } = of;
  const wrapperOf = (source: KeySource): KeyWrapper =>
    typeof source === "string" ? of.wrapperOf(source) : transitWrapper(source);
  const wrapper = wrapperOf(key);
  const previous = previousKey === undefined ? null : wrapperOf(previousKey);
  return new DataKey(await openWrappedKey({ place, wrapper, previous, mayCreate, changed }));
}

function ownWrapper(path: string): KeyWrapper {
  return fileWrapper(path, "here");
}

function replicaWrapper(path: string): KeyWrapper {
  return fileWrapper(path, missingReplica);
}

function missingReplica(path: string): GlasshouseError {
  return new GlasshouseError(
    "invalid-configuration",
    `There is no key file ${path}, which security.key names. All replicas need the same one: copy it from another replica or a backup; for a new database make it with \`openssl rand -base64 32\` (mode 600).`,
  );
}

function notNamed(): GlasshouseError {
  return new GlasshouseError(
    "invalid-configuration",
    "With PostgreSQL security.key must name a key file, the same on every replica, or a key of Vault: it opens the key that secrets and states in the database are sealed with. Make a key file with `openssl rand -base64 32` (mode 600), and keep a copy of it.",
  );
}
