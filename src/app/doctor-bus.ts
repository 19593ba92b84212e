import type { Config } from "../contract/config.ts";
import { failureOf } from "../domain/errors.ts";
import { busCertificate, busCredentials, busSettings, busUsers } from "./bus-settings.ts";
import type { Finding, LookDeps } from "./doctor-finding.ts";
import { withVault } from "./doctor-vault.ts";

const limitMs = 5_000;

/** Whether the broker that is configured takes the credentials that are. Without one there is nothing to say. */
export async function busFindings(
  config: Pick<Config, "bus" | "vault">,
  { env, named }: LookDeps,
): Promise<readonly Finding[]> {
  const about = "bus";
  const advice =
    "Commands by REST go on without it. Look at the broker, and at bus.url, bus.username and bus.password, or bus.credentials.";
  const { bus } = config;
  try {
    const settings = await busSettings(bus, env);
    if (settings === null) return [];
    const { lookAtBroker } = await import("../adapters/buses/amqp/index.ts");
    const { service } = settings;
    const known = service === null ? null : await named.follow("bus.url", service, limitMs);
    const hosts = known === null || known.hosts().length === 0 ? settings.hosts : known.hosts();
    const { username, problem } = await withVault({ config, env, named }, async (vault) => {
      const sources = { users: busUsers(bus, vault), certificate: busCertificate(bus, vault) };
      const credentials = await busCredentials(bus, env, sources);
      const said = await lookAtBroker({ ...settings, hosts }, credentials, limitMs);
      return { username: credentials.username, problem: said };
    });
    const where = hosts.join(", ");
    if (problem !== null) return [{ about, level: "bad", found: `${where}: ${problem}`, advice }];
    const found = `the broker at ${where} takes the user ${username}`;
    return [{ about, level: "good", found, advice: null }];
  } catch (error) {
    return [{ about, level: "bad", found: failureOf(error).message, advice }];
  }
}
