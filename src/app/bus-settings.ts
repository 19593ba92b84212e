import type { AmqpCredentials, AmqpSettings, AmqpTls } from "../adapters/buses/amqp/index.ts";
import type { KeptCertificate } from "../clients/vault/kept-certificate.ts";
import type { Config } from "../contract/config.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { ServiceName } from "../clients/consul/addresses.ts";
import { issuedCertificate } from "./certificate-source.ts";
import { resolveReference } from "./config-grants.ts";
import { dnsName, serviceUrl } from "./service-address.ts";
import { leasedUsers, type LeasedUsers } from "./leased-users.ts";
import type { VaultParts } from "./vault.ts";

type BusConfig = Config["bus"];
type Variables = Readonly<Record<string, string | undefined>>;

export interface BusSettings extends AmqpSettings {
  /** Where Consul knows where the broker is; the host is then its name in Consul's DNS. */
  readonly service: ServiceName | null;
}

/** What `bus.url` and the limits beside it say; null: no broker. Errors: `invalid-configuration`, naming the key. */
export async function busSettings(
  bus: BusConfig,
  variables: Variables,
): Promise<BusSettings | null> {
  if (bus.url === undefined) return null;
  const { urls, service } = await urlsOf(bus.url, variables);
  const [first] = urls;
  if (first === undefined) throw wrong("must not be empty");
  return {
    service,
    hosts: urls.map(({ hostname, port, protocol }) =>
      [hostname, port === "" ? defaultPort(protocol) : port].join(":"),
    ),
    vhost: first.pathname.length > 1 ? decodeURIComponent(first.pathname.slice(1)) : "/",
    prefetch: bus.prefetch,
    maxLength: bus.maxLength,
    deliveryLimit: bus.deliveryLimit,
  };
}

/** The users that `bus.credentials` stands for, or null. Errors: `invalid-configuration`. */
export function busUsers(bus: BusConfig, vault: VaultParts | null): LeasedUsers | null {
  const { credentials: reference, username, password } = bus;
  if (reference === undefined) return null;
  const others = { "bus.username": username, "bus.password": password };
  return leasedUsers({ key: "bus.credentials", reference, others, vault });
}

/** The client's certificate that `bus.tls.issue` stands for, or null. Errors: `invalid-configuration`. */
export function busCertificate(
  { tls }: Pick<BusConfig, "tls">,
  vault: VaultParts | null,
): KeptCertificate | null {
  return issuedCertificate({
    key: "bus.tls",
    tls,
    subject: { commonName: tls.commonName },
    vault,
  });
}

/** What changes by itself: users and the client's certificate, where Vault makes them. */
export interface BusSources {
  readonly users: LeasedUsers | null;
  readonly certificate: KeptCertificate | null;
}

const noSources: BusSources = { users: null, certificate: null };

/** Looks the references up as they are now, or asks the sources. Errors: `invalid-configuration`, those of the sources. */
export async function busCredentials(
  bus: BusConfig,
  variables: Variables,
  { users, certificate }: BusSources = noSources,
): Promise<AmqpCredentials> {
  const [url] = (await urlsOf(bus.url ?? "", variables)).urls;
  const found = async (key: "username" | "password", otherwise: string): Promise<string> => {
    const reference = bus[key];
    if (reference === undefined) return otherwise === "" ? "guest" : decodeURIComponent(otherwise);
    return resolveReference(`bus.${key}`, reference, variables);
  };
  const { username, password } = (await users?.current()) ?? {
    username: await found("username", url?.username ?? ""),
    password: await found("password", url?.password ?? ""),
  };
  return {
    username,
    password,
    tls: url?.protocol === "amqps:" ? await tlsOf(bus, certificate) : null,
  };
}

async function tlsOf({ tls }: BusConfig, issued: KeptCertificate | null): Promise<AmqpTls> {
  const read = async (name: "ca" | "certificate" | "key"): Promise<string | undefined> => {
    const path = tls[name];
    if (path === undefined) return undefined;
    return resolveReference(`bus.tls.${name}`, `file:${path}`, {});
  };
  const own = await issued?.current();
  const ca = await read("ca");
  const cert = own?.certificate ?? (await read("certificate"));
  const key = own?.key ?? (await read("key"));
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

async function urlsOf(
  reference: string,
  variables: Variables,
): Promise<{ readonly urls: readonly URL[]; readonly service: ServiceName | null }> {
  const given = await resolveReference("bus.url", reference, variables);
  const named = serviceUrl("bus.url", given);
  const text = named === null ? given : named.at([dnsName(named.name)]);
  return { urls: parsed(text), service: named?.name ?? null };
}

/** `amqp://host/vhost`, or several with commas: the first says the scheme, the user and the virtual host of all. */
function parsed(text: string): readonly URL[] {
  const [first = "", ...others] = text.split(",").map((part) => part.trim());
  const scheme = /^amqps?:\/\//u.exec(first)?.[0];
  if (scheme === undefined) throw wrong("must begin with amqp:// or amqps://");
  const parts = [first, ...others.map((one) => (one.includes("://") ? one : `${scheme}${one}`))];
  return parts.map((part) => {
    const url = URL.canParse(part) ? new URL(part) : null;
    if (url === null || url.hostname === "" || `${url.protocol}//` !== scheme)
      throw wrong("must be amqp://host:port/vhost, of several hosts with commas between");
    return url;
  });
}

function defaultPort(protocol: string): string {
  return protocol === "amqps:" ? "5671" : "5672";
}

/** Without the value: it may hold a password. */
function wrong(what: string): GlasshouseError {
  return new GlasshouseError("invalid-configuration", `bus.url ${what}.`);
}
