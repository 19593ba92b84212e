import { setTimeout as sleep } from "node:timers/promises";
import type { Connection } from "../../../clients/postgres/connection.ts";
import { isLoginRefused } from "../../../clients/postgres/errors.ts";
import { Hosts, targetSource } from "../../../clients/postgres/hosts.ts";
import type {
  ClientCertificates,
  DatabaseLogins,
  Identity,
} from "../../../clients/postgres/logins.ts";
import {
  targetsOf,
  type ChangingUrl,
  type Target,
  type TargetOptions,
} from "../../../clients/postgres/target.ts";
import type { Log } from "../../../ports/telemetry.ts";

export interface WayInOptions {
  readonly target: Omit<TargetOptions, keyof Identity | "url"> & {
    readonly url: string | ChangingUrl;
  };
  /** Absent: the user of the URL connects, always. */
  readonly logins?: DatabaseLogins | undefined;
  /** Absent: none is shown. */
  readonly certificates?: ClientCertificates | undefined;
  readonly log: Log;
}

/** What holds connections, and goes over to new ones when they are opened as another user, or with another certificate. */
export interface Renewable {
  /** Resolves when it holds none that was opened before. */
  renew(identity: Identity): Promise<void>;
}

const againMs = 1_000;

/** Opens connections as whoever is to connect now, and has all of them replaced when that is another user, or shows another certificate. */
export class WayIn {
  readonly #options: WayInOptions;
  readonly #hosts: Hosts;
  #identity: Identity;
  #unwatch: () => void = () => {};
  #renewing: Promise<void> | null = null;
  #isFollowed = false;
  #isClosed = false;

  private constructor(options: WayInOptions, identity: Identity) {
    this.#options = options;
    this.#identity = identity;
    const targets = targetsFor(options, identity);
    // What is wrong with it is said at once.
    if (typeof options.target.url === "string") targets();
    this.#hosts = new Hosts(targets, options.log);
  }

  /** Errors: `invalid-configuration`, those of the logins. */
  static async open(options: WayInOptions): Promise<WayIn> {
    return new WayIn(options, await identityNow(options));
  }

  /** The host that took writes last, for people. */
  get name(): string {
    return this.#hosts.name;
  }

  get identity(): Identity {
    return this.#identity;
  }

  /** From now on `all` are renewed when somebody else is to connect. */
  follow(all: readonly Renewable[]): void {
    this.#isFollowed = true;
    const { logins, certificates } = this.#options;
    const changed = (): void => {
      this.#renewing ??= this.#goOver(all).finally(() => (this.#renewing = null));
    };
    const ends = [logins?.watch(changed), certificates?.watch(changed)];
    // It may have been replaced before anybody watched.
    const shown = this.#identity.certificate;
    if (certificates?.current().certificate !== shown?.certificate) changed();
    this.#unwatch = () => {
      for (const end of ends) end?.();
    };
  }

  /** Errors: those of `Hosts.open`. */
  async open(): Promise<Connection> {
    if (!this.#isFollowed) await this.#catchUp();
    const { login } = this.#identity;
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
    await this.#isReplaced(this.#identity.login);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unwatch();
    await this.#renewing;
  }

  /** Whether another user is to connect in place of this one, which the server has refused. */
  async #isReplaced(refused: Identity["login"]): Promise<boolean> {
    const { logins, log } = this.#options;
    if (logins === undefined || refused === undefined) return false;
    try {
      await logins.refused(refused);
      const identity = await identityNow(this.#options);
      if (identity.login?.username === refused.username) return false;
      this.#use(identity);
      return true;
    } catch (error) {
      log.warn("PostgreSQL refuses this server's user, and there is no other one", { error });
      return false;
    }
  }

  /** Until it is followed nobody is told of another one, and what a start does before that may outlast a certificate. */
  async #catchUp(): Promise<void> {
    try {
      const identity = await identityNow(this.#options);
      if (!isSame(identity, this.#identity)) this.#use(identity);
    } catch (error) {
      this.#options.log.warn("Whether the store has new credentials is not known", { error });
    }
  }

  #use(identity: Identity): void {
    this.#identity = identity;
    this.#hosts.use(targetsFor(this.#options, identity));
  }

  /** Until those who hold connections have all gone over to the user and the certificate that are in force. */
  async #goOver(all: readonly Renewable[]): Promise<void> {
    const { log, logins } = this.#options;
    let done: Identity | null = null;
    while (!this.#isClosed) {
      try {
        const identity = await identityNow(this.#options);
        if (done !== null && isSame(identity, done)) return;
        await this.#tryOut(identity);
        this.#use(identity);
        await Promise.all(all.map((one) => one.renew(identity)));
        const { login } = identity;
        const fields = login === undefined ? {} : { user: login.username };
        log.info("The store goes on with new credentials", fields);
        await logins?.settled();
        done = identity;
      } catch (error) {
        const words = "New credentials of the store are not taken yet; those of before go on";
        log.warn(words, { error });
        await sleep(againMs, undefined, { ref: false });
      }
    }
  }

  /** So that nobody is sent there in vain. */
  async #tryOut(identity: Identity): Promise<void> {
    const hosts = new Hosts(targetsFor(this.#options, identity), this.#options.log);
    const connection = await hosts.open();
    await connection.end();
  }
}

function targetsFor({ target }: WayInOptions, identity: Identity): () => readonly Target[] {
  return targetSource(target.url, (url) => targetsOf({ ...target, url, ...identity }));
}

/** Errors: those of the logins. */
async function identityNow({ logins, certificates }: WayInOptions): Promise<Identity> {
  return { login: await logins?.current(), certificate: certificates?.current() };
}

function isSame(one: Identity, other: Identity): boolean {
  return (
    one.login?.username === other.login?.username &&
    one.certificate?.certificate === other.certificate?.certificate
  );
}
