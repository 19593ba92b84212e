import type { Config } from "../contract/config.ts";
import { failureOf, GlasshouseError } from "../domain/errors.ts";
import { unusable } from "./certificate-facts.ts";
import { databaseOf, databaseUsers, storeSource } from "./compose-store.ts";
import { silent, stoppedClock } from "./doctor-deps.ts";
import type { Finding, LookDeps } from "./doctor-finding.ts";
import { addressNow } from "./service-address.ts";
import { withVault } from "./doctor-vault.ts";

/** Servers below this are not tested against. */
const oldestServer = 15;
const connectMs = 3_000;

/** True when state is in a database that other servers may share. */
export function isShared({ store }: Pick<Config, "store">): boolean {
  return store.url !== "sqlite";
}

/** Where the state is, and whether it can be reached. Changes nothing. Never throws. */
export async function storeFindings(config: Config, deps: LookDeps): Promise<readonly Finding[]> {
  const about = "store";
  if (!isShared(config))
    return [{ about, level: "good", found: "SQLite in the data directory", advice: null }];
  try {
    const { lookAtServer } = await import("../clients/postgres/look.ts");
    const database = await databaseOf(config, deps.env);
    const url = await addressNow(deps.named, { key: "store.url", url: database.url }, connectMs);
    const target = { ...database, url };
    const looked = await withVault({ config, ...deps }, async (vault) => {
      const login = await databaseUsers(config, vault)?.current();
      const source = storeSource(config, { vault, clock: stoppedClock, log: silent });
      const certificate = await source?.current();
      const why = certificate === undefined ? null : unusable(certificate, "store");
      if (why !== null) throw new GlasshouseError("invalid-configuration", `store.tls: ${why}.`);
      return lookAtServer({ ...target, login, certificate, connectMs });
    });
    const { version, name, isEncrypted, connectionsFree } = looked;
    const found = `PostgreSQL ${version} at ${name}, ${isEncrypted ? "with TLS" : "without TLS"}, room for ${connectionsFree} more connections`;
    const wanted = config.store.pool + 8;
    if (Number.parseInt(version, 10) < oldestServer)
      return [
        {
          about,
          level: "warning",
          found,
          advice: `Use PostgreSQL ${oldestServer} or newer: older ones are not tested.`,
        },
      ];
    if (connectionsFree < wanted)
      return [
        {
          about,
          level: "warning",
          found,
          advice: `A server uses up to ${wanted}: lower store.pool or raise max_connections of PostgreSQL.`,
        },
      ];
    return [{ about, level: "good", found, advice: null }];
  } catch (error) {
    return [
      {
        about,
        level: "bad",
        found: failureOf(error).message,
        advice:
          "The server cannot start without it: look at store.url, store.password or store.credentials, store.tls and PostgreSQL's log.",
      },
    ];
  }
}
