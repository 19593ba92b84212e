import type { ConsulClient } from "../clients/consul/client.ts";
import type { Remotes } from "../clients/resilience/remotes.ts";
import type { Config } from "../contract/config.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Log } from "../ports/telemetry.ts";
import { consulVariables } from "./consul-references.ts";
import { NamedServices, serviceUrl } from "./service-address.ts";
import type { VaultParts } from "./vault.ts";

/** The process's own, and what the configuration refers to elsewhere. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** What the rest of the configuration is found by: Consul, the services that it knows, and Vault. */
export interface Outside {
  /** Null when none is configured. */
  readonly consul: ConsulClient | null;
  /** Services that addresses of the configuration name. */
  readonly named: NamedServices;
  /** Null: declared secrets are kept in the store. */
  readonly vault: VaultParts | null;
  readonly variables: Variables;
  /** Gives back what was leased. */
  close(): Promise<void>;
}

interface OutsideDeps {
  readonly env: Variables;
  readonly remotes: Remotes;
  readonly clock: Pick<Clock, "now" | "monotonic" | "after">;
  readonly log: Log;
}

/** Errors: `invalid-configuration`, and those of Consul and Vault when the configuration refers to values there. */
export async function openOutside(config: Config, of: OutsideDeps): Promise<Outside> {
  // Consul's token may be a value of Vault, and Vault's address a service of Consul; each looks here when it needs it.
  const variables: Record<string, string | undefined> = { ...of.env };
  refuseCircle(config);
  const consul = await createConsul(config, { ...of, env: variables });
  const named = new NamedServices({ client: consul, log: of.log });
  let vault: VaultParts | null = null;
  const close = async (): Promise<void> => {
    await vault?.close();
    await named.stop();
  };
  try {
    const later = isTokenInVault(config);
    if (!later) Object.assign(variables, await consulVariables(config, consul));
    vault = await createVault(config, { ...of, env: variables, services: named });
    if (vault !== null) Object.assign(variables, await valuesIn(vault, config));
    if (later) Object.assign(variables, await consulVariables(config, consul));
    return { consul, named, vault, variables, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function isTokenInVault({ consul }: Pick<Config, "consul">): boolean {
  return consul.token?.startsWith("vault:") === true;
}

function refuseCircle({ consul, vault }: Config): void {
  if (vault.address === undefined || serviceUrl("vault.address", vault.address) === null) return;
  if (!isTokenInVault({ consul })) return;
  throw new GlasshouseError(
    "invalid-configuration",
    "vault.address names a service in Consul, and consul.token a value in Vault: each needs the other first. Give one of them directly.",
  );
}

/** Null without an address. What is said to Consul is loaded only where there is one. */
async function createConsul(
  config: Config,
  of: Pick<OutsideDeps, "env" | "remotes" | "clock">,
): Promise<ConsulClient | null> {
  if (config.consul.address === undefined) return null;
  const { consulClient } = await import("./consul.ts");
  return consulClient(config, of);
}

/** Null without an address. Likewise. */
async function createVault(
  config: Config,
  of: OutsideDeps & { readonly services: NamedServices },
): Promise<VaultParts | null> {
  if (config.vault.address === undefined) return null;
  const { vaultParts } = await import("./vault.ts");
  return vaultParts(config, of);
}

async function valuesIn({ session }: VaultParts, config: Config): Promise<Variables> {
  const { vaultVariables } = await import("./vault-references.ts");
  return vaultVariables(config, session);
}
