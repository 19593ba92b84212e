import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Ledger, ledgerTemplate, type LedgerTemplate } from "./ledger.ts";
import { TcpProxy } from "./proxy.ts";
import { TestServer, testDirectory } from "./server.ts";
import { newKeyFile } from "./which-store.ts";

/** A real server that the cluster reaches through a proxy. */
export interface Upstream {
  readonly port: number;
  /** Its address on another port, which is that of the proxy. */
  readonly url: (port: number) => string;
  /** All that it holds, as text, for the history of a fault that broke a promise. */
  readonly dump?: () => Promise<string>;
}

export interface ClusterOptions {
  readonly replicas: number;
  /** PostgreSQL; without it each replica would have a SQLite of its own, so that there may be but one. */
  readonly store?: Upstream;
  readonly bus?: Upstream;
  /** More environment variables of every server. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A server of the cluster through all its lives, on its own data directory. */
export class Replica {
  readonly name: string;
  readonly data: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #lives: TestServer[] = [];
  #server: TestServer | null = null;
  /** Path of the `bin/glasshouse` that its next lives run; this one's own at first. */
  program: string | undefined;

  constructor(of: {
    readonly name: string;
    readonly data: string;
    readonly env: Readonly<Record<string, string>>;
  }) {
    this.name = of.name;
    this.data = of.data;
    this.#env = of.env;
  }

  /** Null while it is down. */
  get server(): TestServer | null {
    return this.#server;
  }

  /** What all its lives have written. */
  get output(): string {
    return this.#lives.map((life, at) => `--- life ${at + 1}\n${life.output}`).join("\n");
  }

  /** Starts it and waits until it is ready. Rejects when it ends before. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<TestServer> {
    const server = await TestServer.start({
      data: this.data,
      env: { ...this.#env, ...env },
      ...(this.program === undefined ? {} : { program: this.program }),
    });
    this.#lives.push(server);
    this.#server = server;
    void this.#forget(server);
    return server;
  }

  /** As a service manager does: starts it again when it ends before it is ready, because its store is away. */
  async startAgainAndAgain(limitMs = 60_000): Promise<void> {
    const deadline = performance.now() + limitMs;
    for (;;) {
      try {
        await this.start();
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
      }
    }
  }

  /** kill -9. Its children are ended by their wardens. */
  async kill(): Promise<void> {
    const server = this.#server;
    server?.kill();
    await server?.ended;
    this.#server = null;
  }

  /** SIGTERM, and waits until it has drained. */
  async stop(): Promise<void> {
    await this.#server?.stop();
    this.#server = null;
  }

  /** It stands still, children go on; `resume` ends that. */
  pause(): void {
    if (this.#server !== null) process.kill(this.#server.pid, "SIGSTOP");
  }

  resume(): void {
    if (this.#server !== null) process.kill(this.#server.pid, "SIGCONT");
  }

  /** However it ends, also by itself. */
  async #forget(server: TestServer): Promise<void> {
    await server.ended;
    if (this.#server === server) this.#server = null;
  }
}

/**
 * Several real servers on one store and one bus, each reached through a proxy of its own kind, with an outside ledger that only
 * the templates' commands write.
 */
export class Cluster {
  readonly directory: string;
  readonly ledger: Ledger;
  readonly replicas: readonly Replica[];
  /** Between the servers and PostgreSQL. */
  readonly storeProxy: TcpProxy | null;
  /** Between the servers and RabbitMQ. */
  readonly busProxy: TcpProxy | null;
  readonly #remove: () => Promise<void>;

  private constructor(of: {
    readonly directory: Awaited<ReturnType<typeof testDirectory>>;
    readonly ledger: Ledger;
    readonly replicas: readonly Replica[];
    readonly storeProxy: TcpProxy | null;
    readonly busProxy: TcpProxy | null;
  }) {
    this.directory = of.directory.path;
    this.#remove = of.directory.remove;
    this.ledger = of.ledger;
    this.replicas = of.replicas;
    this.storeProxy = of.storeProxy;
    this.busProxy = of.busProxy;
  }

  /** Prepares it; no server runs yet. */
  static async prepare(options: ClusterOptions): Promise<Cluster> {
    if (options.store === undefined && options.replicas > 1)
      throw new Error("several replicas need one PostgreSQL");
    const directory = await testDirectory();
    const ledger = new Ledger(directory.path);
    await ledger.open();
    const storeProxy = options.store === undefined ? null : await TcpProxy.open(options.store.port);
    const busProxy = options.bus === undefined ? null : await TcpProxy.open(options.bus.port);
    const env = {
      GLASSHOUSE_SECURITY_KEY: await newKeyFile(directory.path),
      ...addressOf("GLASSHOUSE_STORE_URL", options.store, storeProxy),
      ...addressOf("GLASSHOUSE_BUS_URL", options.bus, busProxy),
      ...options.env,
    };
    const replicas = Array.from({ length: options.replicas }, (_, at) => {
      const name = `r${at}`;
      return new Replica({ name, data: join(directory.path, name), env });
    });
    return new Cluster({ directory, ledger, replicas, storeProxy, busProxy });
  }

  /** Starts every replica that is down: the first one alone, as it prepares an empty store. */
  async start(): Promise<void> {
    const [first, ...others] = this.replicas.filter(({ server }) => server === null);
    await first?.start();
    await Promise.all(others.map((replica) => replica.start()));
  }

  /** Those that run, in the order of their names. */
  get living(): readonly TestServer[] {
    return this.replicas.flatMap(({ server }) => (server === null ? [] : [server]));
  }

  /** Some server that runs; throws when none does. */
  get any(): TestServer {
    const [server] = this.living;
    if (server === undefined) throw new Error("no replica runs");
    return server;
  }

  /** Waits until every replica that runs reads from its store: after an outage they find out one by one that it is back. */
  async reading(limitMs = 60_000): Promise<void> {
    const deadline = performance.now() + limitMs;
    for (const server of this.living)
      for (;;) {
        const answer = await server.send("GET", "/api/v1/environments?limit=1").catch(() => null);
        if (answer?.status === 200) break;
        if (performance.now() > deadline)
          throw new Error(`a replica does not read its store: ${JSON.stringify(answer?.body)}`);
        await sleep(100);
      }
  }

  /** Registers a template of commands that keep the ledger. */
  async register(of: Omit<LedgerTemplate, "ledger"> & { readonly name: string }): Promise<void> {
    const folder = join(this.directory, "templates", of.name);
    await mkdir(folder, { recursive: true });
    const archive = await ledgerTemplate(folder, { ...of, ledger: this.ledger });
    await this.any.request("POST", "/api/v1/templates", archive);
  }

  /** Ends what still runs, hard, and removes everything. */
  async close(): Promise<void> {
    for (const replica of this.replicas) {
      replica.resume();
      await replica.kill();
    }
    await this.storeProxy?.close();
    await this.busProxy?.close();
    await this.#remove();
  }
}

function addressOf(
  name: string,
  upstream: Upstream | undefined,
  proxy: TcpProxy | null,
): Readonly<Record<string, string>> {
  return upstream === undefined || proxy === null ? {} : { [name]: upstream.url(proxy.port) };
}
