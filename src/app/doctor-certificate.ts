import type { Config } from "../contract/config.ts";
import { failureOf } from "../domain/errors.ts";
import { certificateFacts, timeOf, unusable } from "./certificate-facts.ts";
import { certificateText } from "./certificate-health.ts";
import { silent, stoppedClock } from "./doctor-deps.ts";
import type { Finding, LookDeps } from "./doctor-finding.ts";
import { withVault } from "./doctor-vault.ts";
import { servedSource } from "./served-tls.ts";

const about = "certificate";

/** Whether the certificate that is configured for `listen` would be served. Without one there is nothing to say. */
export async function certificateFindings(
  config: Pick<Config, "tls" | "vault">,
  deps: LookDeps,
): Promise<readonly Finding[]> {
  try {
    const shown = await withVault({ config, ...deps }, async (vault) => {
      const source = servedSource(config, { vault, clock: stoppedClock, log: silent });
      return source === null ? null : source.current();
    });
    if (shown === null) return [];
    const why = unusable(shown, "listen");
    const facts = certificateFacts(shown.certificate);
    if (why !== null || facts === null) return [bad(why ?? "it cannot be read")];
    const time = timeOf(facts, Date.now());
    const found = `${config.tls.issue === undefined ? "" : "Vault issues one "}${certificateText({ ...facts, time })}`;
    if (time === "good") return [{ about, level: "good", found, advice: null }];
    if (time !== "late") return [bad(found)];
    return [{ about, level: "warning", found, advice: renew }];
  } catch (error) {
    return [bad(failureOf(error).message)];
  }
}

const renew = "Put a new one in place: a server that runs takes it without a restart.";

function bad(found: string): Finding {
  const advice =
    "A start fails with it or nobody trusts it, and a server that runs goes on with the one before. Look at the section tls of the configuration, and at what writes its files.";
  return { about, level: "bad", found, advice };
}
