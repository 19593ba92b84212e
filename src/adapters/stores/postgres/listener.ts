import { setTimeout as sleep } from "node:timers/promises";
import type { Topic } from "../../../ports/store.ts";
import type { Log } from "../../../ports/telemetry.ts";
import type { Connection } from "../../../clients/postgres/connection.ts";

export interface ListenerDeps {
  /** Marks what this process says, so that it does not wake itself. */
  readonly instance: string;
  readonly open: () => Promise<Connection>;
  readonly log: Log;
  /** Others have committed something that touched these. */
  readonly heard: (topics: readonly Topic[]) => void;
  /** Something may have been missed: everything is to be looked at. */
  readonly missed: () => void;
}

export const allTopics: readonly Topic[] = [
  "journal",
  "queue",
  "steps",
  "commands",
  "logs",
  "workers",
];

/** While it listens, only a process that died between its commit and its word is silent; otherwise all of them are. */
const netMs = { listening: 5_000, deaf: 500 } as const;
const retryMs = 250;
/** Words that come closer together are said together: each is a commit of its own. */
const restMs = 10;
const healthMs = 2_000;

/**
 * Tells the other processes what was committed, and hears it of them (LISTEN and NOTIFY), on a connection of its own. The
 * word is said after the commit: inside, it would take a lock of the whole server that lasts until the commit is on the
 * disk, and so commits would come one after the other. Words that wait are said together. Polling is the net.
 */
export class Listener {
  readonly #deps: ListenerDeps;
  #connection: Connection | null = null;
  #fault: string | null = "not connected yet";
  readonly #toSay = new Set<Topic>();
  #saying: Promise<void> | null = null;
  #connecting: Promise<void> | null = null;
  #isClosed = false;
  #polledAtMs = performance.now();
  readonly #net: NodeJS.Timeout;

  constructor(deps: ListenerDeps) {
    this.#deps = deps;
    this.#net = setInterval(() => this.#poll(), netMs.deaf);
    this.#net.unref();
  }

  /** Begins to listen; resolves once it does, or when the first try failed. It goes on trying by itself. */
  async start(): Promise<void> {
    if (!(await this.#connect())) this.#again();
  }

  say(topics: ReadonlySet<Topic>): void {
    for (const topic of topics) if (topic !== "journal") this.#toSay.add(topic);
    if (this.#toSay.size > 0) this.#saying ??= this.#sayAll().finally(() => (this.#saying = null));
  }

  /** Asks the server something cheap on this connection. Null: it answered; otherwise why not. */
  async health(): Promise<string | null> {
    const connection = this.#connection;
    if (connection === null) return this.#fault;
    const late = sleep(healthMs, `no answer within ${healthMs} ms`, { ref: false });
    const asked = connection.query("select 1").then(
      () => null,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    return Promise.race([asked, late]);
  }

  /** Goes over to a new connection; the one before ends once the new one listens. Errors: none; it goes on as it was. */
  async renew(): Promise<void> {
    const before = this.#connection;
    // Without one it is connecting anyway.
    if (before === null || this.#isClosed) return;
    if (await this.#connect()) await before.end();
    else this.#fault = null;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#net);
    await this.#saying;
    await this.#connecting;
    await this.#connection?.end();
  }

  async #sayAll(): Promise<void> {
    // Commits of this turn of the event loop are told together.
    await Promise.resolve();
    while (this.#toSay.size > 0 && this.#connection !== null) {
      const words = [this.#deps.instance, ...this.#toSay].join(" ");
      this.#toSay.clear();
      try {
        await this.#connection.query(`select pg_notify('glasshouse', ?)`, [words]);
      } catch {
        // Whoever is connected polls.
      }
      if (!this.#isClosed) await sleep(restMs);
    }
    this.#toSay.clear();
  }

  async #connect(): Promise<boolean> {
    try {
      const connection = await this.#deps.open();
      connection.onNotification((payload) => this.#hear(payload));
      connection.onLost(() => this.#lost(connection));
      await connection.query("listen glasshouse");
      this.#connection = connection;
      this.#fault = null;
      this.#deps.missed();
      return true;
    } catch (error) {
      this.#fault = error instanceof Error ? error.message : String(error);
      return false;
    }
  }

  #lost(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = null;
    this.#fault = "the connection was lost";
    if (this.#isClosed) return;
    this.#deps.log.warn("PostgreSQL is not heard any more; changes of others are polled for", {});
    this.#again();
  }

  #again(): void {
    if (this.#isClosed || this.#connecting !== null) return;
    this.#connecting = this.#reconnect().finally(() => (this.#connecting = null));
  }

  async #reconnect(): Promise<void> {
    do await sleep(retryMs * (0.5 + Math.random()), undefined, { ref: false });
    while (!this.#isClosed && !(await this.#connect()));
  }

  #hear(payload: string): void {
    const [from, ...words] = payload.split(" ");
    if (from === this.#deps.instance) return;
    this.#deps.heard(allTopics.filter((topic) => words.includes(topic)));
  }

  #poll(): void {
    const everyMs = this.#connection === null ? netMs.deaf : netMs.listening;
    if (performance.now() - this.#polledAtMs < everyMs) return;
    this.#polledAtMs = performance.now();
    this.#deps.missed();
  }
}
