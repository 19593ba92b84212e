import { Remotes } from "../clients/resilience/remotes.ts";
import { lookAtVault } from "../clients/vault/status.ts";
import type { Config } from "../contract/config.ts";
import { failureOf } from "../domain/errors.ts";
import { noMetrics } from "../ports/telemetry.ts";
import { silent, stoppedClock } from "./doctor-deps.ts";
import type { Finding, LookDeps } from "./doctor-finding.ts";
import { vaultParts, type VaultParts } from "./vault.ts";
import { vaultVariables } from "./vault-references.ts";

const limitMs = 5_000;

/** Where values of declared secrets are kept; with a Vault, whether it answers and lets us in. */
export async function vaultFindings(
  config: Pick<Config, "vault">,
  deps: LookDeps,
): Promise<readonly Finding[]> {
  const { address, kv, pki } = config.vault;
  const about = "secrets";
  if (address === undefined) {
    const found =
      "declared ones are kept in the embedded sealed store, under the key; certificates are issued by the embedded authority";
    return [{ about, level: "good", found, advice: null }];
  }
  try {
    const version = await withVault({ config, ...deps }, async (parts) =>
      parts === null ? "" : (await lookAtVault(parts, AbortSignal.timeout(limitMs))).version,
    );
    const found = `declared ones are kept in Vault ${version} at ${address}, ${kv.mount}/${kv.prefix}; certificates are issued by its PKI engine at ${pki.mount}`;
    return isInClear(address)
      ? [{ about, level: "warning", found, advice: "Values go there in clear: use https." }]
      : [{ about, level: "good", found, advice: null }];
  } catch (error) {
    const advice =
      "What needs secrets waits until Vault answers. Look at Vault (is it sealed?), at vault.address and at how the server logs in.";
    return [{ about, level: "bad", found: `${address}: ${failureOf(error).message}`, advice }];
  }
}

/** What the configuration refers to in Vault, for the looks at what uses it. Errors: as at a start. */
export async function variablesOfVault(
  config: Config,
  deps: LookDeps,
): Promise<Readonly<Record<string, string>>> {
  return withVault({ config, ...deps }, (parts) => vaultVariables(config, parts?.session ?? null));
}

/** A session of its own, which is ended again with all that was leased. Null without a Vault. */
export async function withVault<T>(
  of: LookDeps & { readonly config: Pick<Config, "vault"> },
  look: (parts: VaultParts | null) => Promise<T>,
): Promise<T> {
  const clock = stoppedClock;
  const remotes = new Remotes({ metrics: noMetrics, log: silent, clock });
  const parts = await vaultParts(of.config, {
    env: of.env,
    remotes,
    clock,
    log: silent,
    services: of.named,
  });
  try {
    return await look(parts);
  } finally {
    await parts?.close();
  }
}

function isInClear(address: string): boolean {
  const url = URL.parse(address);
  const near = ["localhost", "127.0.0.1", "[::1]"];
  return url !== null && url.protocol === "http:" && !near.includes(url.hostname);
}
