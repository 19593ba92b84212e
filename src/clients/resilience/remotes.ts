import {
  Remote,
  type RemoteDeps,
  type RemoteKind,
  type RemoteOptions,
  type RemoteStatus,
} from "./remote.ts";

/** Hosts of repositories come from users: beyond this many the one that was called least recently is forgotten. */
const mostOfKind = 64;

/**
 * All that this process calls, for /health and metrics. A remote whose calls are separate is opened with a policy; a connection
 * that its library keeps alive by itself only says how it is.
 */
export class Remotes {
  readonly #deps: RemoteDeps;
  readonly #remotes = new Map<string, { readonly status: RemoteStatus }>();

  constructor(deps: RemoteDeps) {
    this.#deps = deps;
    deps.metrics.observe("glasshouse_remote_breakers", () => this.#countStates());
  }

  /** The remote of this name, made by the first who asks: the same options are expected each time. */
  remote(options: RemoteOptions): Remote {
    const known = this.#remotes.get(options.name);
    const remote = known instanceof Remote ? known : new Remote(options, this.#deps);
    // Put last again, so that the first one is the one that was not used for longest.
    this.#remotes.delete(options.name);
    this.#makeRoom(options.kind);
    this.#remotes.set(options.name, remote);
    return remote;
  }

  /** A connection that heals by itself, such as that to a broker: who keeps it says when it comes and goes. */
  connection(options: ConnectionOptions): Connection {
    const connection = new Connection(options, this.#deps);
    this.#remotes.set(options.name, connection);
    return connection;
  }

  /** How each is, in the order of their names. */
  statuses(): readonly RemoteStatus[] {
    return [...this.#remotes.values()]
      .map(({ status }) => status)
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  #makeRoom(kind: RemoteKind): void {
    const same = [...this.#remotes].filter(([, { status }]) => status.kind === kind);
    if (same.length < mostOfKind) return;
    const [oldest] = same;
    if (oldest !== undefined) this.#remotes.delete(oldest[0]);
  }

  #countStates(): readonly StateCount[] {
    const statuses = this.statuses();
    return [...new Set(statuses.map(({ kind }) => kind))].flatMap((kind) =>
      (["closed", "open", "half-open"] as const).map((state) => ({
        value: statuses.filter((status) => status.kind === kind && status.state === state).length,
        labels: { remote: kind, state },
      })),
    );
  }
}

interface StateCount {
  readonly value: number;
  readonly labels: { readonly remote: string; readonly state: string };
}

export type ConnectionOptions = Pick<RemoteOptions, "kind" | "name" | "advice">;

/** How a connection is that its library opens again by itself. Closed (well) only after `up`. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #deps: RemoteDeps;
  #isUp = false;
  #sinceMs: number | null = null;
  #latencyMs: number | null = null;
  #lastError: RemoteStatus["lastError"] = null;

  constructor(options: ConnectionOptions, deps: RemoteDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** It is there. `latencyMs`: how long it took to come, or the last answer over it. Safe to repeat. */
  up(latencyMs: number | null = null): void {
    this.#latencyMs = latencyMs ?? this.#latencyMs;
    if (this.#isUp) return;
    const { name } = this.#options;
    if (this.#lastError !== null) this.#deps.log.info(`${name} answers again`);
    this.#isUp = true;
    this.#sinceMs = this.#deps.clock.now();
  }

  /** It is lost, or could not be made. Logged once until it is there again. Safe to repeat. */
  down(error: unknown): void {
    const { name, advice } = this.#options;
    const message = error instanceof Error ? error.message : String(error);
    if (this.#isUp || this.#lastError === null) {
      this.#deps.log.warn(`${name} is down: it is tried again until it answers`, { error, advice });
      this.#sinceMs = this.#deps.clock.now();
    }
    this.#isUp = false;
    this.#lastError = { message, atMs: this.#deps.clock.now() };
  }

  get status(): RemoteStatus {
    const { kind, name, advice } = this.#options;
    return {
      kind,
      name,
      state: this.#isUp ? "closed" : "open",
      sinceMs: this.#sinceMs,
      latencyMs: this.#latencyMs,
      lastError: this.#lastError,
      retryAtMs: null,
      advice: this.#isUp ? null : advice,
    };
  }
}
