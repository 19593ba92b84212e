import type { Config } from "../contract/config.ts";
import { failureOf } from "../domain/errors.ts";
import { busCredentials, busSettings } from "./bus-settings.ts";
import type { Finding } from "./doctor-finding.ts";

const limitMs = 5_000;

/** Whether the broker that is configured takes the credentials that are. Without one there is nothing to say. */
export async function busFindings(
  { bus }: Pick<Config, "bus">,
  env: Readonly<Record<string, string | undefined>>,
): Promise<readonly Finding[]> {
  const about = "bus";
  const advice =
    "Commands by REST go on without it. Look at the broker, and at bus.url, bus.username and bus.password.";
  try {
    const settings = await busSettings(bus, env);
    if (settings === null) return [];
    const { lookAtBroker } = await import("../adapters/buses/amqp/index.ts");
    const credentials = await busCredentials(bus, env);
    const problem = await lookAtBroker(settings, credentials, limitMs);
    const where = settings.hosts.join(", ");
    if (problem !== null) return [{ about, level: "bad", found: `${where}: ${problem}`, advice }];
    const found = `the broker at ${where} takes the user ${credentials.username}`;
    return [{ about, level: "good", found, advice: null }];
  } catch (error) {
    return [{ about, level: "bad", found: failureOf(error).message, advice }];
  }
}
