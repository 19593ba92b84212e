import type { ServiceAddresses, ServiceName } from "../clients/consul/addresses.ts";
import type { ConsulClient } from "../clients/consul/client.ts";
import type { ChangingUrl } from "../clients/postgres/target.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { Log } from "../ports/telemetry.ts";

/** An address of the configuration that names a service in Consul in place of host and port. */
export interface ServiceUrl {
  readonly name: ServiceName;
  /** The whole address with these in its place, with commas between. */
  readonly at: (hosts: readonly string[]) => string;
}

/** A user may be called consul, too: then what follows is a password and ends with an @. */
const marked = /^[a-z]+:\/\/(?:[^/?#]*@)?consul:(?![^/?#]*@)(?!\d+(?:[,/?#]|$))/iu;
const form =
  /^(?<before>[a-z]+:\/\/(?:[^/?#]*@)?)consul:(?:(?<tag>[A-Za-z0-9_-]+)\.)?(?<service>[A-Za-z][A-Za-z0-9_-]*)(?<after>[/?#].*)?$/iu;

/**
 * `scheme://user@consul:service/rest`, or `consul:tag.service`. Null: it names no service; a host that is called consul has a number
 * as its port. Errors: `invalid-configuration`, naming the key and never the value, which may hold a password.
 */
export function serviceUrl(key: string, url: string): ServiceUrl | null {
  if (!marked.test(url)) return null;
  const parts = form.exec(url)?.groups;
  const service = parts?.["service"];
  if (service === undefined)
    throw new GlasshouseError(
      "invalid-configuration",
      `${key} names a service in Consul in a form that is not known: write consul:service or consul:tag.service in place of host and port, and no other host beside it.`,
    );
  const { before = "", tag, after = "" } = parts ?? {};
  return {
    name: { service, tag: tag ?? null },
    at: (hosts) => `${before}${hosts.join(",")}${after}`,
  };
}

/** What Consul's own DNS would call it: it stands for the service until Consul has said where it is. */
export function dnsName({ service, tag }: ServiceName): string {
  return `${tag === null ? "" : `${tag}.`}${service}.service.consul`;
}

/** Where a service is now. */
export interface NamedService {
  readonly addresses: ServiceAddresses;
  /** `host:port` of each healthy instance. */
  readonly hosts: () => readonly string[];
}

/** The services that addresses of the configuration name, each followed once until `stop`. */
export class NamedServices {
  readonly #client: ConsulClient | null;
  readonly #log: Log;
  readonly #followed = new Map<string, NamedService>();

  /** A client of null: none is configured. */
  constructor(of: { readonly client: ConsulClient | null; readonly log: Log }) {
    this.#client = of.client;
    this.#log = of.log;
  }

  /**
   * Begins to follow it, and waits so long for Consul's first answer. Errors: `invalid-configuration` when no Consul is configured.
   */
  async follow(key: string, name: ServiceName, waitMs: number): Promise<NamedService> {
    const followed = await this.#follow(key, name);
    await followed.addresses.known(waitMs, new AbortController().signal);
    return followed;
  }

  /** Null when the URL names no service. Errors: `invalid-configuration`. */
  async changingUrl(key: string, url: string): Promise<ChangingUrl | null> {
    const named = serviceUrl(key, url);
    if (named === null) return null;
    const { addresses, hosts } = await this.#follow(key, named.name);
    return {
      name: `the service ${named.name.service} in Consul`,
      now: () => (hosts().length === 0 ? null : named.at(hosts())),
      watch: (fn) => addresses.watch(fn),
    };
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#followed.values()].map(({ addresses }) => addresses.stop()));
  }

  async #follow(key: string, name: ServiceName): Promise<NamedService> {
    const client = this.#client;
    if (client === null)
      throw new GlasshouseError(
        "invalid-configuration",
        `${key} names the service ${name.service} in Consul, and consul.address is not set: set it, or write host:port.`,
      );
    // What is said to Consul is loaded only where there is one.
    const { ServiceAddresses: Addresses, hostText } =
      await import("../clients/consul/addresses.ts");
    const id = JSON.stringify(name);
    const known = this.#followed.get(id);
    if (known !== undefined) return known;
    const addresses = new Addresses({ client, name, log: this.#log });
    const hosts = () => addresses.list().map((address) => hostText(address));
    const followed = { addresses, hosts };
    this.#followed.set(id, followed);
    addresses.start();
    return followed;
  }
}

/** An address as it is now, for one look. Errors: `unavailable` when Consul names no healthy instance. */
export async function addressNow(
  services: NamedServices,
  { key, url }: { readonly key: string; readonly url: string },
  waitMs: number,
): Promise<string> {
  const named = serviceUrl(key, url);
  if (named === null) return url;
  const { hosts } = await services.follow(key, named.name, waitMs);
  if (hosts().length > 0) return named.at(hosts());
  throw new GlasshouseError(
    "unavailable",
    `Consul names no healthy instance of ${named.name.service} that the token may see.`,
  );
}
