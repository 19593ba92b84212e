import {
  deregisterService,
  registerService,
  type Registration,
  type Sidecar,
} from "../clients/consul/agent.ts";
import type { ConsulClient } from "../clients/consul/client.ts";
import { serviceHealth, type ServiceInstance } from "../clients/consul/health.ts";
import { watch, type Indexed, type WaitFor } from "../clients/consul/watch.ts";
import type { Config } from "../contract/config.ts";
import type { Log } from "../ports/telemetry.ts";
import { isWildcard, listenAddress } from "./config-listen.ts";
import { programVersion } from "./program-version.ts";

/** A token that may not read what it registers never sees it: then it is told anew no more often than this. */
const leastBetweenMs = 2_000;
const stopLimitMs = 3_000;

/**
 * Keeps this server registered in Consul while it runs: it follows what Consul knows of the service, and registers again when it is
 * not among its instances, as after a Consul that lost its data. A Consul that is away costs nothing but a line in the log.
 */
export class ConsulRegistration {
  readonly #client: ConsulClient;
  readonly #registration: Registration;
  readonly #log: Log;
  readonly #end = new AbortController();
  #watching: Promise<void> | null = null;
  #registeredAtMs = Number.NEGATIVE_INFINITY;
  #hasFailed = false;

  constructor(of: {
    readonly client: ConsulClient;
    readonly registration: Registration;
    readonly log: Log;
  }) {
    this.#client = of.client;
    this.#registration = of.registration;
    this.#log = of.log;
  }

  /** Begins; does not wait. */
  start(): void {
    this.#watching = watch({
      read: (wait, signal) => this.#look(wait, signal),
      changed: () => undefined,
      failed: (error) => this.#failed(error),
      signal: this.#end.signal,
    });
  }

  /** Takes itself out, within seconds. Never rejects: Consul forgets by itself what does not answer. */
  async stop(): Promise<void> {
    if (this.#watching === null) return;
    this.#end.abort();
    await this.#watching;
    this.#watching = null;
    const { id, name } = this.#registration;
    try {
      await deregisterService(this.#client, id, AbortSignal.timeout(stopLimitMs));
    } catch (error) {
      this.#log.warn(`${name} could not be taken out of Consul: it forgets it by itself`, {
        error,
      });
    }
  }

  async #look(
    wait: WaitFor | null,
    signal: AbortSignal,
  ): Promise<Indexed<readonly ServiceInstance[]>> {
    const { name, id } = this.#registration;
    const isRegistered = Number.isFinite(this.#registeredAtMs);
    const query = { service: name, datacenter: null, tag: null, signal };
    // Until it is registered there is nothing to wait for.
    const seen = await serviceHealth(this.#client, { ...query, wait: isRegistered ? wait : null });
    const isRecent = performance.now() - this.#registeredAtMs < leastBetweenMs;
    if (!seen.value.some((instance) => instance.id === id) && !isRecent)
      await this.#register(signal);
    if (this.#hasFailed) this.#log.info("Consul knows this server again", { id });
    this.#hasFailed = false;
    return seen;
  }

  async #register(signal: AbortSignal): Promise<void> {
    this.#registeredAtMs = Number.NEGATIVE_INFINITY;
    await registerService(this.#client, this.#registration, signal);
    this.#registeredAtMs = performance.now();
  }

  #failed(error: unknown): void {
    if (!this.#hasFailed)
      this.#log.warn("This server cannot be kept registered in Consul; it is tried again", {
        error,
        advice: adviceOf(this.#registration),
      });
    this.#hasFailed = true;
  }
}

function adviceOf({ sidecar }: Registration): string {
  const proxy = sidecar === null ? "" : ' and service "glasshouse-sidecar-proxy"';
  return `The token needs service "glasshouse"${proxy} { policy = "write" } and node_prefix "" { policy = "read" }.`;
}

/** What a server that listens there says of itself. The same address gives the same id, so a restart takes its place again. */
export function registrationOf(
  config: Pick<Config, "roles" | "consul" | "listen" | "tls">,
  url: string,
): Registration {
  const { roles, consul } = config;
  const { hostname, port, host } = new URL(url);
  // On all addresses of the machine it is found at the one that the agent knows of it.
  const everywhere = isWildcard(listenAddress(config).host);
  const address = everywhere ? "" : hostname.replace(/^\[|\]$/gu, "");
  const version = programVersion();
  return {
    id: `glasshouse-${host.replaceAll(/[^a-z0-9.]/giu, "-")}`,
    name: "glasshouse",
    tags: [`version-${version}`, ...roles],
    address,
    port: Number(port),
    meta: { version, roles: roles.join(",") },
    check: {
      name: "Glasshouse takes requests",
      http: `${url}/readyz`,
      // An agent knows the authorities of the machine, rarely the one that issues for this service; nothing secret is asked, on one machine.
      trustsAny: url.startsWith("https:"),
      intervalMs: 5_000,
      timeoutMs: 3_000,
      forgetAfterMs: 600_000,
    },
    sidecar: sidecarOf(consul.sidecar),
  };
}

function sidecarOf({ register, port, upstreams }: Config["consul"]["sidecar"]): Sidecar | null {
  if (!register) return null;
  const leads = Object.entries(upstreams).map(([service, local]) => ({ service, port: local }));
  return { port: port ?? null, upstreams: leads };
}
