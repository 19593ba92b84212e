import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "../../../clients/postgres/connection.ts";
import { isLoginRefused } from "../../../clients/postgres/errors.ts";
import { Hosts, targetSource } from "../../../clients/postgres/hosts.ts";
import type { DatabaseLogin, DatabaseLogins } from "../../../clients/postgres/logins.ts";
import {
  targetsOf,
  type ChangingUrl,
  type Target,
  type TargetOptions,
} from "../../../clients/postgres/target.ts";
import type { Log } from "../../../ports/telemetry.ts";

export interface WayInOptions {
  readonly target: Omit<TargetOptions, "login" | "url"> & { readonly url: string | ChangingUrl };
  /** Absent: the user of the URL connects, always. */
  readonly logins?: DatabaseLogins | undefined;
  readonly log: Log;
}

/** What holds connections, and goes over to new ones when they are opened as another user. */
export interface Renewable {
  /** Resolves when it holds none that was opened before. */
  renew(login: DatabaseLogin): Promise<void>;
}

const againMs = 1_000;

/** Opens connections as whoever is to connect now, and has all of them replaced when that is another user. */
export class WayIn {
  readonly #options: WayInOptions;
  readonly #hosts: Hosts;
  #login: DatabaseLogin | undefined;
  #unwatch: () => void = () => {};
  #renewing: Promise<void> | null = null;
  #isClosed = false;

  private constructor(options: WayInOptions, login: DatabaseLogin | undefined) {
    this.#options = options;
    this.#login = login;
    const targets = targetsFor(options, login);
    // What is wrong with it is said at once.
    if (typeof options.target.url === "string") targets();
    this.#hosts = new Hosts(targets, options.log);
  }

  /** Errors: `invalid-configuration`, those of the logins. */
  static async open(options: WayInOptions): Promise<WayIn> {
    return new WayIn(options, await options.logins?.current());
  }

  /** The host that took writes last, for people. */
  get name(): string {
    return this.#hosts.name;
  }

  /** Undefined: the user of the URL. */
  get login(): DatabaseLogin | undefined {
    return this.#login;
  }

  /** From now on `all` are renewed when somebody else is to connect. */
  follow(all: readonly Renewable[]): void {
    const { logins } = this.#options;
    if (logins === undefined) return;
    this.#unwatch = logins.watch(() => {
      this.#renewing ??= this.#goOver(logins, all).finally(() => (this.#renewing = null));
    });
  }

  /** Errors: those of `Hosts.open`. */
  async open(): Promise<Connection> {
    const login = this.#login;
    try {
      return await this.#hosts.open();
    } catch (error) {
      if (!isLoginRefused(error) || !(await this.#isReplaced(login))) throw error;
      return this.#hosts.open();
    }
  }

  /** As `open`, but waits so long for a server to come. */
  openWithin(limitMs: number): Promise<Connection> {
    return this.#hosts.openWithin(limitMs);
  }

  /** A connection was refused somewhere else. */
  async suspect(): Promise<void> {
    await this.#isReplaced(this.#login);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unwatch();
    await this.#renewing;
  }

  /** Whether another user is to connect in place of this one, which the server has refused. */
  async #isReplaced(refused: DatabaseLogin | undefined): Promise<boolean> {
    const { logins, log } = this.#options;
    if (logins === undefined || refused === undefined) return false;
    try {
      await logins.refused(refused);
      const login = await logins.current();
      if (login.username === refused.username) return false;
      this.#use(login);
      return true;
    } catch (error) {
      log.warn("PostgreSQL refuses this server's user, and there is no other one", { error });
      return false;
    }
  }

  #use(login: DatabaseLogin): void {
    this.#login = login;
    this.#hosts.use(targetsFor(this.#options, login));
  }

  /** Until those who hold connections have all gone over to the user that is in force. */
  async #goOver(logins: DatabaseLogins, all: readonly Renewable[]): Promise<void> {
    const { log } = this.#options;
    let done: string | null = null;
    while (!this.#isClosed) {
      try {
        const login = await logins.current();
        if (login.username === done) return;
        await this.#tryOut(login);
        this.#use(login);
        await Promise.all(all.map((one) => one.renew(login)));
        log.info("The store goes on with new credentials", { user: login.username });
        await logins.settled();
        done = login.username;
      } catch (error) {
        const words = "New credentials of the store are not taken yet; those of before go on";
        log.warn(words, { error });
        await sleep(againMs, undefined, { ref: false });
      }
    }
  }

  /** So that nobody is sent there in vain. */
  async #tryOut(login: DatabaseLogin): Promise<void> {
    const hosts = new Hosts(targetsFor(this.#options, login), this.#options.log);
    const connection = await hosts.open();
    await connection.end();
  }
}

function targetsFor(
  { target }: WayInOptions,
  login: DatabaseLogin | undefined,
): () => readonly Target[] {
  return targetSource(target.url, (url) => targetsOf({ ...target, url, login }));
}
