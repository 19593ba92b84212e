import { createServer, type Server } from "node:https";
import { TLSSocket } from "node:tls";
import type { FastifyRequest, FastifyServerFactory } from "fastify";
import { GlasshouseError } from "../../domain/errors.ts";
import type { ServedTls } from "./api.ts";

/** Whoever opens a connection and says nothing does not hold it for longer. */
const handshakeMs = 10_000;

/**
 * Servers that speak HTTP/1.1 in TLS from version 1.2 on. For `localhost` Fastify makes one for each of its addresses, and all of
 * them show a new certificate from the next connection on; those that are open go on.
 */
export function secureServer(tls: ServedTls): FastifyServerFactory {
  return (handler, options) => {
    const server = createServer(
      {
        ...contextOf(tls),
        handshakeTimeout: handshakeMs,
        // Probes need no certificate; what else is asked for is refused with words, not by a broken connection.
        ...(tls.demandsClients ? { requestCert: true, rejectUnauthorized: false } : {}),
        keepAliveTimeout: Number(options["keepAliveTimeout"]),
        requestTimeout: Number(options["requestTimeout"]),
      },
      handler,
    );
    followIn(server, tls);
    return server;
  };
}

function followIn(server: Server, tls: ServedTls): void {
  // What was kept of sessions goes with the context of before, so nobody goes on with what is not trusted any more.
  const unwatch = tls.watch(() => server.setSecureContext(contextOf(tls)));
  server.once("close", unwatch);
}

function contextOf(tls: ServedTls): ReturnType<ServedTls["context"]> {
  return { ...tls.context(), minVersion: "TLSv1.2" };
}

/** What tells whether this process lives and takes requests; a prober has no certificate. */
const probes: readonly string[] = ["/livez", "/readyz"];

/** Errors: `unauthenticated` for whoever shows no certificate of the authorities that are trusted, but for probes. */
export function refuseUnknownClient(request: FastifyRequest): void {
  if (probes.includes(request.url)) return;
  const { socket } = request.raw;
  if (!(socket instanceof TLSSocket)) throw unknown("the connection is not TLS");
  if (socket.getPeerX509Certificate() === undefined) throw unknown("none was shown");
  if (!socket.authorized) throw unknown(String(socket.authorizationError));
}

function unknown(why: string): GlasshouseError {
  return new GlasshouseError(
    "unauthenticated",
    `This server asks for a client's certificate of the authorities that it trusts (tls.clientCa): ${why}. With the command line, name yours with GLASSHOUSE_CLIENT_CERTIFICATE and GLASSHOUSE_CLIENT_KEY.`,
  );
}

/** Whom the client's certificate names, for the log; nothing where none is asked for. */
export function clientOf({ raw }: FastifyRequest): { readonly client?: string } {
  const certificate =
    raw.socket instanceof TLSSocket ? raw.socket.getPeerX509Certificate() : undefined;
  return certificate === undefined ? {} : { client: certificate.subject.replaceAll("\n", ", ") };
}
