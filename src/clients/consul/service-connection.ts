import { GlasshouseError } from "../../domain/errors.ts";
import type { HttpAnswer, HttpConnection, HttpRequest } from "../http/connection.ts";
import { hostText, type ServiceAddresses } from "./addresses.ts";

interface ServiceConnectionOptions {
  /** For people: what is at the other end. */
  readonly name: string;
  readonly addresses: Pick<ServiceAddresses, "list" | "known">;
  /** Opens one to an instance, `host:port`. */
  readonly connect: (host: string) => HttpConnection;
}

/** Requests wait so long for Consul's first answer. */
const firstAnswerMs = 5_000;

/**
 * Requests to a service that Consul knows: to one of its healthy instances for as long as it is one and can be reached, then to another.
 * As with one server, nothing is tried twice here: who repeats the request comes to the next instance.
 */
export class ServiceConnection {
  readonly #options: ServiceConnectionOptions;
  readonly #connections = new Map<string, HttpConnection>();
  #turn = Math.floor(Math.random() * 1_024);

  constructor(options: ServiceConnectionOptions) {
    this.#options = options;
  }

  /** Errors: those of a connection, and `unavailable` while Consul has named no instance. */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    const host = await this.#host(request.signal);
    const turn = this.#turn;
    try {
      return await this.#connectionTo(host).send(request);
    } catch (error) {
      const isAway = error instanceof GlasshouseError && error.code === "unavailable";
      // One that does not answer in time may hang: the next request had better go elsewhere.
      if ((isAway || request.signal.aborted) && this.#turn === turn) this.#turn += 1;
      throw error;
    }
  }

  /** Closes connections that are not in use. */
  async close(): Promise<void> {
    await Promise.all([...this.#connections.values()].map((connection) => connection.close()));
  }

  async #host(signal: AbortSignal): Promise<string> {
    const { addresses, name } = this.#options;
    await addresses.known(firstAnswerMs, signal);
    const hosts = addresses.list().map((address) => hostText(address));
    const host = hosts[this.#turn % Math.max(1, hosts.length)];
    if (host === undefined)
      throw new GlasshouseError(
        "unavailable",
        `Consul has named no healthy instance of ${name} yet, so it is not known where to send requests.`,
      );
    return host;
  }

  #connectionTo(host: string): HttpConnection {
    const known = this.#connections.get(host);
    if (known !== undefined) return known;
    const connection = this.#options.connect(host);
    this.#connections.set(host, connection);
    return connection;
  }
}
