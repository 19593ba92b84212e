import type { Socket } from "node:net";
import fastify from "fastify";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { GlasshouseError } from "../../domain/errors.ts";
import { mediaTypes, requestLimits, type Route } from "../../contract/rest-route.ts";
import { routes } from "../../contract/rest.ts";
import type { Api, Handlers, HttpOptions } from "./api.ts";
import { authorityHandlers } from "./authority.ts";
import { busHandlers } from "./bus.ts";
import { acceptedCommand, commandHandlers } from "./command.ts";
import { docsHandlers } from "./docs.ts";
import { environmentHandlers } from "./environment.ts";
import { eventHandlers } from "./event.ts";
import { refuseForeign, setSecurityHeaders } from "./guard.ts";
import { healthHandlers } from "./health.ts";
import { parseJsonBody } from "../../contract/json-body.ts";
import { LiveEvents } from "./live-events.ts";
import { meterRequest } from "./meter.ts";
import { mountRoutes } from "./mount.ts";
import { planHandlers } from "./plan.ts";
import { sendProblem } from "./problem.ts";
import { resourceHandlers } from "./resource.ts";
import { runHandlers } from "./run.ts";
import { clientOf, refuseUnknownClient, secureServer } from "./secure-server.ts";
import { schemaHandlers } from "./schema.ts";
import { searchHandlers } from "./search.ts";
import { templateHandlers } from "./template.ts";
import { workerHandlers } from "./worker.ts";
import { traceOf } from "./trace.ts";

/**
 * The HTTP server of the REST API, ready to listen. `close()` ends the live streams, lets requests that are under way
 * finish, then closes.
 */
export function createHttpServer(options: HttpOptions): FastifyInstance {
  const { tls } = options;
  const stopping = new AbortController();
  const api: Api = { ...options, live: new LiveEvents(options), stopping: stopping.signal };
  const app = fastify({
    logger: false,
    bodyLimit: requestLimits.jsonBytes,
    // Time to receive a whole request; answers may take as long as they like.
    requestTimeout: 120_000,
    forceCloseConnections: "idle",
    return503OnClosing: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: requestLimits.nameLength },
    schemaController: {
      compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas },
    },
    frameworkErrors: (error, request, reply) => {
      setSecurityHeaders(request, reply);
      void sendProblem(options.log, error, { request, reply });
    },
    clientErrorHandler: answerUnreadable,
    ...(tls === undefined ? {} : { serverFactory: secureServer(tls) }),
  });
  app.server.maxConnections = mostConnections;
  parseBodies(app);
  app.addHook("onRequest", async (request, reply) => {
    setSecurityHeaders(request, reply);
    refuseForeign(request, options.allowedHosts);
    if (tls?.demandsClients === true) refuseUnknownClient(request);
  });
  app.addHook("onResponse", async (request, reply) => {
    logChange(options, request, reply);
    meterRequest(options.metrics, request, reply);
  });
  app.addHook("preClose", async () => {
    stopping.abort();
    api.live.close();
  });
  app.setErrorHandler((error, request, reply) =>
    sendProblem(options.log, error, { request, reply }),
  );
  app.setNotFoundHandler(async (request, reply) => refuseUnknown(request, reply));
  mountRoutes(app, handlersOf(api), options.service.roles);
  return app;
}

/** Requests are parsed by the contract's schemas. Without this Fastify loads its own compilers, a hundred files, at every start. */
function noSchemas(): never {
  throw new Error("A route was given a schema of Fastify's own.");
}

/** Past it Node closes new ones at once: clients come back, and the process keeps files to work with. */
const mostConnections = 2_000;

function handlersOf(api: Api): Handlers {
  return {
    ...environmentHandlers(api),
    ...templateHandlers(api),
    ...runHandlers(api),
    ...planHandlers(api),
    ...resourceHandlers(api),
    ...searchHandlers(api),
    ...commandHandlers(api),
    ...eventHandlers(api),
    ...busHandlers(api),
    ...workerHandlers(api),
    ...authorityHandlers(api),
    ...healthHandlers(api),
    ...schemaHandlers(api),
    ...docsHandlers(),
  };
}

/** Bodies are JSON, CloudEvents in JSON, or (where the route takes them) archives. Forms and plain text are not parsed at all. */
function parseBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  const types = [mediaTypes.json, mediaTypes.cloudEvent];
  app.addContentTypeParser(types, { parseAs: "buffer" }, async (_: unknown, body: Buffer) =>
    body.length === 0 ? undefined : parseJsonBody(body),
  );
  app.addContentTypeParser(
    mediaTypes.archive,
    { parseAs: "buffer" },
    async (_: unknown, body: Buffer) => body,
  );
}

/** One line for each request that may change something; reads leave none. */
function logChange({ log }: HttpOptions, request: FastifyRequest, reply: FastifyReply): void {
  if (request.method === "GET" || request.method === "HEAD") return;
  const command = acceptedCommand(request);
  log.info("request", {
    method: request.method,
    path: request.url.slice(0, 500).replace(/\?.*$/u, ""),
    status: reply.statusCode,
    durationMs: Math.round(reply.elapsedTime),
    traceId: traceOf(request).id,
    ...clientOf(request),
    ...(command === undefined ? {} : { command: command.id, type: command.type }),
  });
}

/** No operation of the table has this method and path: 405 when another method has it, else 404. */
function refuseUnknown(request: FastifyRequest, reply: FastifyReply): never {
  const path = request.url.replace(/\?.*$/u, "").replace(/(?<=.)\/$/u, "");
  const methods = matchers.filter(({ form }) => form.test(path)).map(({ method }) => method);
  if (methods.length === 0) {
    throw new GlasshouseError(
      "not-found",
      `There is nothing at ${request.method} ${path.slice(0, 300)}; the API page at /api/v1/docs lists what there is.`,
    );
  }
  const allowed = [
    ...new Set(methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]))),
  ];
  void reply.header("allow", allowed.join(", "));
  throw new GlasshouseError(
    "method-not-allowed",
    `${path.slice(0, 300)} does not take ${request.method}; it takes ${allowed.join(", ")}.`,
  );
}

const matchers = routes.map((route: Route) => ({
  method: route.method,
  form: new RegExp(
    `^${route.path
      .split(/\{\w+\}/u)
      .map((part) => RegExp.escape(part))
      .join("[^/]+")}$`,
    "u",
  ),
}));

/** What is not even HTTP never becomes a request: the answer is written by hand. */
function answerUnreadable(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed || !socket.writable) return;
  const [status, text] =
    error.code === "HPE_HEADER_OVERFLOW"
      ? ["431 Request Header Fields Too Large", "The headers are too large."]
      : ["400 Bad Request", "This is not HTTP that can be read."];
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`,
  );
}
