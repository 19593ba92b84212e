import { GlasshouseError } from "../domain/errors.ts";

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * Host and port of `listen`. Errors: `invalid-configuration` for everything but loopback: there is no authentication yet,
 * so whoever reaches the port may give commands.
 */
export function listenAddress(listen: string): ListenAddress {
  const colon = listen.lastIndexOf(":");
  const host = listen.slice(0, colon).replace(/^\[(.*)\]$/u, "$1");
  if (!isLoopback(host))
    throw new GlasshouseError(
      "invalid-configuration",
      `Listening on ${listen} is refused: whoever reaches it could give commands, because this version has no authentication. Use 127.0.0.1, and a tunnel (ssh -L) from elsewhere.`,
      { details: [{ message: "listen must be a loopback address" }] },
    );
  return { host, port: Number(listen.slice(colon + 1)) };
}

/** True for addresses and the name that never leave the machine. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/u.test(host);
}
