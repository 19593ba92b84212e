import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import { GlasshouseError, type ErrorCode, type ErrorDetail } from "../../domain/errors.ts";
import { issueDetails } from "../../contract/issues.ts";
import { mediaTypes, type Route } from "../../contract/rest-route.ts";
import { routes, type RouteId } from "../../contract/rest.ts";
import type { AnyCall, Call, Handler, Handlers, ServedId } from "./api.ts";
import { contentTag, namesTag } from "./etag.ts";
import { refuseOtherTypes } from "./guard.ts";

/** The largest archive, and room for what is around it. */
const archiveBytes = 16 * 1024 * 1024 + 64 * 1024;

/** What every process answers, whatever its roles: how it is, and what it is. */
const ofEveryRole: readonly RouteId[] = [
  "getLiveness",
  "getReadiness",
  "getHealth",
  "getHealthAtRoot",
  "getMetrics",
  "getVersion",
  "getInfo",
];

/**
 * Mounts every operation of the table. Those of later versions answer `not-available`; without the role `api` all but those
 * about the process itself answer `not-served`.
 */
export function mountRoutes(
  app: FastifyInstance,
  handlers: Handlers,
  roles: readonly string[],
): void {
  for (const route of routes) {
    if (!roles.includes("api") && !ofEveryRole.includes(route.id))
      mountElsewhere(app, route, roles);
    else if ("notAvailable" in route) mountLater(app, route);
    else mount(app, { route, id: route.id }, handlers);
  }
}

function mountElsewhere(app: FastifyInstance, route: Route, roles: readonly string[]): void {
  mountRefusal(app, route, [
    "not-served",
    `This process is a ${roles.join(" and ")} and does not serve ${route.method} ${route.path}: ask a server with the role api.`,
  ]);
}

function mountLater(app: FastifyInstance, route: Route): void {
  mountRefusal(app, route, [
    "not-available",
    `${route.method} ${route.path} is not available in this version.`,
  ]);
}

function mountRefusal(
  app: FastifyInstance,
  route: Route,
  [code, message]: readonly [ErrorCode, string],
): void {
  const refuse = async (): Promise<never> => {
    throw new GlasshouseError(code, message);
  };
  app.route({ method: route.method, url: urlOf(route), onRequest: refuse, handler: refuse });
}

function mount<Id extends ServedId>(
  app: FastifyInstance,
  { route, id }: { readonly route: Route; readonly id: Id },
  handlers: Pick<Handlers, Id>,
): void {
  const handler: Handler<Id> = handlers[id];
  const archive = route.body?.archive === true;
  const status = Number(Object.keys(route.replies)[0] ?? 200);
  app.route({
    method: route.method,
    url: urlOf(route),
    ...(archive ? { bodyLimit: archiveBytes } : {}),
    onRequest: async (request) => refuseOtherTypes(request, { archive }),
    handler: async (request, reply) => {
      void reply.code(status);
      const call = readCall(route, id, { request, reply });
      if (!isCallOf(id, call)) throw new Error(`A call of ${call.id} came to ${id}.`);
      const result = await handler(call);
      return result === reply ? reply : sendJson({ request, reply }, result);
    },
  });
}

function urlOf(route: Route): string {
  return route.path.replaceAll(/\{(\w+)\}/gu, ":$1");
}

/** Sends a plain body. Reads get an ETag, and 304 when the client has it already. */
function sendJson(
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  result: unknown,
): FastifyReply {
  const body = JSON.stringify(result);
  void reply.type(mediaTypes.json);
  if (request.method !== "GET" && request.method !== "HEAD") return reply.send(body);
  if (reply.statusCode !== 200) return reply.send(body);
  const given = reply.getHeader("etag");
  const tag = typeof given === "string" ? given : contentTag(body);
  void reply.header("etag", tag);
  const known = request.headers["if-none-match"];
  if (known !== undefined && namesTag(known, tag)) return reply.code(304).send();
  return reply.send(body);
}

/** Parses the parts of a request by the route's schemas. Errors: `invalid-request`, naming each mistake. */
function readCall(
  route: Route,
  id: RouteId,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
): AnyCall {
  const body = bodyOf(route, request);
  return {
    id,
    params: parsePart("path", route.params, request.params),
    query: parsePart("query", route.query, request.query),
    body: Buffer.isBuffer(body) ? body : parsePart("body", route.body?.schema, body),
    request,
    reply,
  };
}

function bodyOf(route: Route, request: FastifyRequest): unknown {
  if (route.body === undefined) return undefined;
  const { body } = request;
  if (body !== undefined && body !== null) return body;
  if (route.body.optional === true) return {};
  throw new GlasshouseError(
    "invalid-request",
    `${route.method} ${route.path} needs a JSON body; the API page shows its members.`,
  );
}

type PartName = "path" | "query" | "body";

function parsePart(part: PartName, schema: z.ZodType | undefined, value: unknown): unknown {
  if (schema === undefined) return {};
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const details = issueDetails(parsed.error.issues).map((detail) => located(part, detail));
  const [first] = details;
  throw new GlasshouseError(
    "invalid-request",
    `The ${part} of the request is not right: ${first?.message ?? "it does not fit its schema."}`,
    { details },
  );
}

/** Pointers lead into the body; members of path and query are named apart. */
function located(part: PartName, { message, pointer }: ErrorDetail): ErrorDetail {
  if (part === "body") return { message, ...(pointer === undefined ? {} : { pointer }) };
  return { message, place: `${part}:${(pointer ?? "").replace(/^\//u, "")}` };
}

/** What `readCall` made for a route has the parts of that route. */
function isCallOf<Id extends ServedId>(id: Id, call: AnyCall): call is Call<Id> {
  return call.id === id;
}
