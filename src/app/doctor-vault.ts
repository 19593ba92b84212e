import { Remotes } from "../clients/resilience/remotes.ts";
import { lookAtVault } from "../clients/vault/status.ts";
import type { Config } from "../contract/config.ts";
import { failureOf } from "../domain/errors.ts";
import { noMetrics } from "../ports/telemetry.ts";
import type { Finding } from "./doctor-finding.ts";
import { vaultParts } from "./vault.ts";

const limitMs = 5_000;

/** Where values of declared secrets are kept; with a Vault, whether it answers and lets us in. */
export async function vaultFindings(
  config: Pick<Config, "vault">,
  env: Readonly<Record<string, string | undefined>>,
): Promise<readonly Finding[]> {
  const { address, kv } = config.vault;
  const about = "secrets";
  if (address === undefined) {
    const found = "declared ones are kept in the embedded sealed store, under the key";
    return [{ about, level: "good", found, advice: null }];
  }
  try {
    const clock = { now: () => Date.now(), monotonic: () => performance.now(), after: never };
    const remotes = new Remotes({ metrics: noMetrics, log: quiet, clock });
    const parts = await vaultParts(config, { env, remotes, clock, log: quiet });
    if (parts === null) return [];
    try {
      const { version } = await lookAtVault(parts, AbortSignal.timeout(limitMs));
      const found = `declared ones are kept in Vault ${version} at ${address}, ${kv.mount}/${kv.prefix}`;
      return isInClear(address)
        ? [{ about, level: "warning", found, advice: "Values go there in clear: use https." }]
        : [{ about, level: "good", found, advice: null }];
    } finally {
      await parts.session.close();
    }
  } catch (error) {
    const advice =
      "What needs secrets waits until Vault answers. Look at Vault (is it sealed?), at vault.address and at how the server logs in.";
    return [{ about, level: "bad", found: `${address}: ${failureOf(error).message}`, advice }];
  }
}

/** One look needs no renewal. */
function never(): () => void {
  return nothing;
}

function isInClear(address: string): boolean {
  const url = URL.parse(address);
  const near = ["localhost", "127.0.0.1", "[::1]"];
  return url !== null && url.protocol === "http:" && !near.includes(url.hostname);
}

const quiet = { debug: nothing, info: nothing, warn: nothing, error: nothing };

function nothing(): void {
  // What it has to say is in the finding.
}
