import type { Config } from "../contract/config.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { servesTls } from "./served-tls.ts";

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

type Listening = Pick<Config, "listen" | "tls">;

/**
 * Host and port of `listen`. Errors: `invalid-configuration` for everything but loopback unless clients show who they are: whoever
 * reaches the port may give commands.
 */
export function listenAddress(config: Listening): ListenAddress {
  const { listen } = config;
  const colon = listen.lastIndexOf(":");
  const host = listen.slice(0, colon).replace(/^\[(.*)\]$/u, "$1");
  if (!isLoopback(host) && !demandsClients(config))
    throw new GlasshouseError(
      "invalid-configuration",
      `Listening on ${listen} is refused: whoever reaches it could give commands. Have clients show certificates (tls.certificate and tls.key or tls.issue, and tls.clientCa), or use 127.0.0.1, and a tunnel (ssh -L) from elsewhere.`,
      { details: [{ message: "listen must be a loopback address without tls.clientCa" }] },
    );
  return { host, port: Number(listen.slice(colon + 1)) };
}

/**
 * Begins to listen. Errors: `conflict` when something else listens there, `invalid-configuration` when this process may not or the
 * machine has no such address.
 */
export async function listenOn<T>(
  address: ListenAddress,
  begin: (address: ListenAddress) => Promise<T>,
): Promise<T> {
  try {
    return await begin(address);
  } catch (error) {
    throw refusedListening(error, address) ?? error;
  }
}

function refusedListening(error: unknown, { host, port }: ListenAddress): GlasshouseError | null {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const where = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  if (code === "EADDRINUSE")
    return new GlasshouseError(
      "conflict",
      `Something else listens on ${where} already, another server perhaps. Stop that, or listen elsewhere (--listen, GLASSHOUSE_LISTEN, listen).`,
      { cause: error },
    );
  const why =
    code === "EACCES"
      ? "this user may not use that port: take one from 1024 on"
      : code === "EADDRNOTAVAIL" || code === "ENOTFOUND"
        ? "this machine has no such address"
        : null;
  if (why === null) return null;
  return new GlasshouseError(
    "invalid-configuration",
    `Listening on ${where} (listen) is not possible: ${why}.`,
    { cause: error },
  );
}

/** Names and addresses that requests may give as the server's, beside those of loopback. */
export function ownNames(config: Listening & Pick<Config, "security">): readonly string[] {
  const { host } = listenAddress(config);
  // A page cannot make a name resolve to an address that it does not call: what is called by the address is meant.
  const address = isWildcard(host) ? [] : [host.includes(":") ? `[${host}]` : host];
  const names = config.tls.names.map((name) => (name.includes(":") ? `[${name}]` : name));
  return [...config.security.allowedHosts, ...names, ...address];
}

/** True for addresses and the name that never leave the machine. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/u.test(host);
}

/** True for all addresses of the machine at once. */
export function isWildcard(host: string): boolean {
  return /^(?:0\.0\.0\.0|[0:]+)$/u.test(host);
}

/** Whether whoever gives commands must show a certificate. */
export function demandsClients(config: Pick<Config, "tls">): boolean {
  return servesTls(config) && config.tls.clientCa !== undefined;
}
