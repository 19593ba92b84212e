import { HttpConnection } from "../../src/clients/http/connection.ts";
import { Remotes } from "../../src/clients/resilience/remotes.ts";
import { VaultClient, vaultPolicy } from "../../src/clients/vault/client.ts";
import type { VaultLogin } from "../../src/clients/vault/login.ts";
import { VaultSession } from "../../src/clients/vault/session.ts";
import { SystemClock } from "../../src/adapters/clock/system/index.ts";
import { noMetrics } from "../../src/ports/telemetry.ts";

export const quietLog = { debug: nothing, info: nothing, warn: nothing, error: nothing };

function nothing(): void {
  // Tests look at what happens.
}

export interface SessionOptions {
  readonly url: string;
  readonly login: VaultLogin;
  readonly ca?: string;
  readonly namespace?: string;
  /** To Vault at once; 8 when left out. */
  readonly connections?: number;
  /** In place of one to `url`. */
  readonly connection?: HttpConnection;
}

/** A client and a session of their own, as a server has them. */
export function openSession(of: SessionOptions): {
  readonly client: VaultClient;
  readonly session: VaultSession;
} {
  const clock = new SystemClock();
  const remotes = new Remotes({ metrics: noMetrics, log: quietLog, clock });
  const tls = of.ca === undefined ? {} : { tls: { ca: of.ca } };
  const client = new VaultClient({
    connection:
      of.connection ??
      new HttpConnection({ url: of.url, name: "Vault", connections: of.connections ?? 8, ...tls }),
    calls: remotes.remote({ ...vaultPolicy, kind: "vault", name: "vault", advice: "" }),
    namespace: of.namespace ?? null,
  });
  return { client, session: new VaultSession({ client, login: of.login, clock, log: quietLog }) };
}

export function byToken(token: string): VaultLogin {
  return { kind: "token", token: () => Promise.resolve(token) };
}
