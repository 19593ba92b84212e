import type { ConsulClient } from "../clients/consul/client.ts";
import { lookAtConsul } from "../clients/consul/status.ts";
import { Remotes } from "../clients/resilience/remotes.ts";
import type { Config } from "../contract/config.ts";
import { failureOf } from "../domain/errors.ts";
import { noMetrics } from "../ports/telemetry.ts";
import { consulClient } from "./consul.ts";
import { silent } from "./doctor-deps.ts";
import type { Finding } from "./doctor-finding.ts";

const limitMs = 5_000;

/** Whether the Consul that is configured answers and knows the token. Without one there is nothing to say. */
export async function consulFindings(
  config: Pick<Config, "consul">,
  env: Readonly<Record<string, string | undefined>>,
): Promise<readonly Finding[]> {
  const { address, token } = config.consul;
  if (address === undefined) return [];
  const about = "consul";
  try {
    const clock = { now: () => Date.now(), monotonic: () => performance.now() };
    const remotes = new Remotes({ metrics: noMetrics, log: silent, clock });
    const client = await consulClient(config, { env, remotes, clock });
    if (client === null) return [];
    const { leader } = await lookAtConsul(client, limitMs);
    const known = token === undefined ? "without a token" : "and knows the token";
    const found = `${address} answers ${known}; its leader is ${leader}`;
    return isInClear(address) && token !== undefined
      ? [{ about, level: "warning", found, advice: "The token goes there in clear: use https." }]
      : [{ about, level: "good", found, advice: null }];
  } catch (error) {
    const advice =
      "Groups and checks of Consul wait until it answers. Look at Consul, and at consul.address and consul.token.";
    return [{ about, level: "bad", found: `${address}: ${failureOf(error).message}`, advice }];
  }
}

/** The Consul that is configured; what is wrong with that is a finding of its own. */
export async function consulNow(
  config: Pick<Config, "consul">,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ConsulClient | null> {
  const clock = { now: () => Date.now(), monotonic: () => performance.now() };
  const remotes = new Remotes({ metrics: noMetrics, log: silent, clock });
  return consulClient(config, { env, remotes, clock }).catch(() => null);
}

function isInClear(address: string): boolean {
  const url = URL.parse(address);
  const near = ["localhost", "127.0.0.1", "[::1]"];
  return url !== null && url.protocol === "http:" && !near.includes(url.hostname);
}
