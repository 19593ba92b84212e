import {
  defaultKeyFile,
  type KeyChoice,
  type KeySource,
} from "../adapters/secrets/embedded/index.ts";
import type { Config } from "../contract/config.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { Log } from "../ports/telemetry.ts";
import type { VaultParts } from "./vault.ts";

const pattern = /^vault:(?<mount>[^#\s]+)\/keys\/(?<name>[^/#\s]+)$/u;

/** What wraps the data key, as `security.key` and `security.previousKey` say. Errors: `invalid-configuration` without a Vault. */
export function keyChoice(
  { security }: Pick<Config, "security">,
  of: { readonly vault: VaultParts | null; readonly log: Log },
): Omit<KeyChoice, "key"> & { readonly key: KeySource | undefined } {
  const { key, previousKey } = security;
  return {
    key: sourceOf("security.key", key, of.vault),
    previousKey: sourceOf("security.previousKey", previousKey, of.vault),
    changed: (what) => of.log.info("The data key was wrapped anew", { what }),
  };
}

/** Whether `security.key` is a key of Vault, and no file. */
export function isTransitKey(key: string | undefined): boolean {
  return key !== undefined && pattern.test(key);
}

/** The file that wraps the data key of the data directory `directory`, or null when that is done by Vault. */
export function keyFileOf(
  { security }: Pick<Config, "security">,
  directory: string,
): string | null {
  if (isTransitKey(security.key)) return null;
  return security.key ?? defaultKeyFile(directory);
}

function sourceOf(
  name: string,
  value: string | undefined,
  vault: VaultParts | null,
): KeySource | undefined {
  const { mount, name: key } = pattern.exec(value ?? "")?.groups ?? {};
  if (mount === undefined || key === undefined) return value;
  if (vault !== null) return { session: vault.session, key: { mount, name: key } };
  throw new GlasshouseError(
    "invalid-configuration",
    `${name} is a key of Vault: it needs vault.address.`,
  );
}
