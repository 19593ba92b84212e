import { readVersion } from "../clients/vault/kv.ts";
import type { VaultSession } from "../clients/vault/session.ts";
import type { Config } from "../contract/config.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { parseSecretSource } from "../domain/secret.ts";
import { toJson } from "../lib/json.ts";
import { referencesIn } from "./references.ts";

const looksMs = 30_000;

/**
 * Looks up every `vault:<mount>/<path>#<field>` that the configuration refers to, once, and gives them as variables that have the
 * whole reference as their name: what reads references finds them there. Errors: `invalid-configuration` for one that leads
 * nowhere, and those of the session.
 */
export async function vaultVariables(
  config: Config,
  session: VaultSession | null,
): Promise<Readonly<Record<string, string>>> {
  const { vault: _itself, security: _keys, tls: _served, store, bus, ...others } = config;
  // Those of users, certificates and keys are no values: they are leased, issued, or never leave Vault.
  const { credentials: _user, tls: _shown, ...stored } = store;
  const { credentials: _other, tls: _issued, ...sent } = bus;
  const looked = toJson({ ...others, store: stored, bus: sent });
  const references = referencesIn(looked, "vault:");
  if (references.length === 0 || session === null) return {};
  const signal = AbortSignal.timeout(looksMs);
  const found = references.map(
    async (reference) => [reference, await lookUp(session, reference, signal)] as const,
  );
  return Object.fromEntries(await Promise.all(found));
}

async function lookUp(
  session: VaultSession,
  reference: string,
  signal: AbortSignal,
): Promise<string> {
  const source = parseSecretSource(reference);
  if (source === null)
    throw new GlasshouseError(
      "invalid-configuration",
      `${reference} is no reference to Vault: write vault:<mount>/<path>#<field>.`,
    );
  const found = await readVersion(session, source, { version: 0, signal });
  const value = found?.data[source.field];
  if (typeof value === "string") return value;
  throw new GlasshouseError(
    "invalid-configuration",
    `${reference} leads nowhere: Vault has no text ${source.field} at ${source.mount}/${source.path} (a KV engine, version 2).`,
  );
}
