import type { Log } from "../../ports/telemetry.ts";
import type { ConsulClient } from "./client.ts";
import { serviceHealth, type ServiceInstance } from "./health.ts";
import { watch, type WaitFor } from "./watch.ts";

/** A service as a configuration names it. */
export interface ServiceName {
  readonly service: string;
  /** Only instances with this tag. */
  readonly tag: string | null;
}

export interface ServiceAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Where the healthy instances of a service are, followed in Consul. While Consul is away, or knows no healthy one, the last ones that
 * were known stay: one of them may still be there, and nothing else is known.
 */
export class ServiceAddresses {
  readonly name: ServiceName;
  readonly #client: ConsulClient;
  readonly #log: Log;
  readonly #end = new AbortController();
  readonly #watchers = new Set<() => void>();
  #known: readonly ServiceAddress[] = [];
  #hasFailed = false;
  #watching: Promise<void> | null = null;

  constructor(of: {
    readonly client: ConsulClient;
    readonly name: ServiceName;
    readonly log: Log;
  }) {
    this.name = of.name;
    this.#client = of.client;
    this.#log = of.log;
  }

  /** Begins; does not wait. */
  start(): void {
    this.#watching ??= watch({
      read: (wait, signal) => this.#read(wait, signal),
      changed: (instances) => this.#changed(instances),
      failed: (error) => this.#failed(error),
      signal: this.#end.signal,
    });
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#watching;
  }

  /** As they are known now; none before Consul has named any. Always in the same order. */
  list(): readonly ServiceAddress[] {
    return this.#known;
  }

  /** Resolves once Consul has named an instance, and after so long at the latest. Errors: the signal's reason. */
  async known(limitMs: number, signal: AbortSignal): Promise<void> {
    if (this.#known.length > 0) return;
    signal.throwIfAborted();
    const end = Promise.withResolvers<void>();
    const unwatch = this.watch(end.resolve);
    const timer = setTimeout(end.resolve, limitMs);
    const abort = (): void => end.reject(signal.reason);
    signal.addEventListener("abort", abort);
    try {
      await end.promise;
    } finally {
      unwatch();
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }

  /** Calls `fn` whenever the list has changed. Returns a function that ends it. `fn` must not throw. */
  watch(fn: () => void): () => void {
    const own = (): void => fn();
    this.#watchers.add(own);
    return () => {
      this.#watchers.delete(own);
    };
  }

  #read(wait: WaitFor | null, signal: AbortSignal): ReturnType<typeof serviceHealth> {
    return serviceHealth(this.#client, { ...this.name, datacenter: null, wait, signal });
  }

  #changed(instances: readonly ServiceInstance[]): void {
    this.#hasFailed = false;
    const addresses = healthyAddresses(instances);
    const { service, tag } = this.name;
    if (addresses.length === 0) {
      const kept = this.#known.length;
      this.#log.warn("Consul knows no healthy instance of a service that this server needs", {
        service,
        tag,
        instances: instances.length,
        kept,
      });
      return;
    }
    if (JSON.stringify(addresses) === JSON.stringify(this.#known)) return;
    this.#known = addresses;
    this.#log.info("Consul says where a service is", {
      service,
      tag,
      addresses: addresses.map((address) => hostText(address)),
    });
    for (const fn of this.#watchers) fn();
  }

  #failed(error: unknown): void {
    if (!this.#hasFailed)
      this.#log.warn("Consul cannot be asked where a service is; the last answer counts", {
        service: this.name.service,
        error,
      });
    this.#hasFailed = true;
  }
}

/** Those that pass all their checks, in an order that does not change. One without a port cannot be connected to. */
export function healthyAddresses(instances: readonly ServiceInstance[]): readonly ServiceAddress[] {
  return instances
    .filter(({ failing, port }) => failing.length === 0 && port > 0)
    .map(({ address: host, port }) => ({ host, port }))
    .toSorted((a, b) => hostText(a).localeCompare(hostText(b)));
}

/** `host:port`, as it stands in a URL. */
export function hostText({ host, port }: ServiceAddress): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
