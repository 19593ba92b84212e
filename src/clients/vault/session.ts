import { GlasshouseError } from "../../domain/errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Log } from "../../ports/telemetry.ts";
import type { HttpAnswer } from "../http/connection.ts";
import type { VaultCall, VaultClient } from "./client.ts";
import { Login, renew, type LoginToken, type VaultLogin } from "./login.ts";

export interface VaultSessionOptions {
  readonly client: VaultClient;
  readonly login: VaultLogin;
  readonly clock: Pick<Clock, "monotonic" | "after">;
  readonly log: Log;
}

/** A renewal that failed is tried again after this part of what is left. */
const againPart = 1 / 3;
const soonestMs = 1_000;

/**
 * Calls to Vault as somebody: it logs in with the first call, renews the token at two thirds of its life, and logs in anew when
 * it was revoked or could not be renewed. `close` revokes a token that was made for it.
 */
export class VaultSession {
  readonly #options: VaultSessionOptions;
  readonly #login: Login;
  #token: LoginToken | null = null;
  #entering: Promise<LoginToken> | null = null;
  #forget: (() => void) | null = null;
  #logins = 0;
  #closed = false;
  readonly #watchers = new Set<() => void>();

  constructor(options: VaultSessionOptions) {
    this.#options = options;
    this.#login = new Login(options.client, options.login);
  }

  /** How often it has logged in: what hung on an earlier login is gone with it. */
  get logins(): number {
    return this.#logins;
  }

  /** Logs in, unless it is. Errors: those of the client and of the login. */
  async ready(): Promise<void> {
    await this.#enter();
  }

  /** Calls `fn` after each login. The returned function ends it. */
  watchLogins(fn: () => void): () => void {
    const own = (): void => fn();
    this.#watchers.add(own);
    return () => void this.#watchers.delete(own);
  }

  /** Errors: those of the client and of the login; `forbidden` only when the token is known and may not do this. */
  async call(call: Omit<VaultCall, "token">): Promise<HttpAnswer> {
    const { client } = this.#options;
    const known = await this.#enter();
    try {
      return await client.call({ ...call, token: known.token });
    } catch (error) {
      if (!(error instanceof GlasshouseError) || error.code !== "forbidden") throw error;
      // A token that is over looks the same as one that may not do it.
      if (await this.#isKnown(known.token)) throw error;
      if (this.#token === known) this.#drop();
      return client.call({ ...call, token: (await this.#enter()).token });
    }
  }

  /** Ends what was begun. Vault may be away: then the token ends by itself. */
  async close(): Promise<void> {
    const { client, log } = this.#options;
    this.#closed = true;
    const known = this.#token;
    this.#drop();
    if (known?.ours === true) {
      const call = { method: "POST", path: "auth/token/revoke-self", repeatable: true } as const;
      const signal = AbortSignal.timeout(5_000);
      await client
        .call({ ...call, token: known.token, signal })
        .catch((error: unknown) =>
          log.warn("The token for Vault could not be revoked: it ends by itself", { error }),
        );
    }
    await client.close();
  }

  #enter(): Promise<LoginToken> {
    if (this.#token !== null) return Promise.resolve(this.#token);
    // Whoever asks meanwhile waits for the same login.
    this.#entering ??= this.#login
      .enter()
      .then((token) => {
        this.#logins += 1;
        this.#keep(token);
        for (const fn of this.#watchers) fn();
        return token;
      })
      .finally(() => {
        this.#entering = null;
      });
    return this.#entering;
  }

  async #isKnown(token: string): Promise<boolean> {
    const answer = await this.#options.client.call({
      method: "GET",
      path: "auth/token/lookup-self",
      token,
      repeatable: true,
      expected: [403],
    });
    return answer.status !== 403;
  }

  #keep(token: LoginToken): void {
    this.#forget?.();
    this.#forget = null;
    if (this.#closed) return;
    this.#token = token;
    if (token.ttlMs === 0) return;
    const endsAtMs = this.#options.clock.monotonic() + token.ttlMs;
    this.#renewIn((token.ttlMs * 2) / 3, { token, endsAtMs });
  }

  #renewIn(delayMs: number, of: { readonly token: LoginToken; readonly endsAtMs: number }): void {
    const waitMs = Math.max(soonestMs, delayMs);
    this.#forget = this.#options.clock.after(waitMs, () => void this.#renew(of));
  }

  async #renew(of: { readonly token: LoginToken; readonly endsAtMs: number }): Promise<void> {
    const { client, clock, log } = this.#options;
    if (this.#token !== of.token) return;
    try {
      const renewed = of.token.renewable ? await renew(client, of.token) : null;
      if (this.#token !== of.token) return;
      // One that reaches the end of what it may live is renewed for less each time: then another login is due.
      if (renewed !== null && renewed.ttlMs >= of.token.ttlMs / 2) return this.#keep(renewed);
      this.#drop();
      await this.#enter();
    } catch (error) {
      log.warn("The token for Vault could not be renewed; it is tried again", { error });
      if (this.#token !== of.token) return;
      const leftMs = of.endsAtMs - clock.monotonic();
      const denied = error instanceof GlasshouseError && error.code === "forbidden";
      if (leftMs <= soonestMs || denied) this.#drop();
      else this.#renewIn(leftMs * againPart, of);
    }
  }

  #drop(): void {
    this.#forget?.();
    this.#forget = null;
    this.#token = null;
  }
}
