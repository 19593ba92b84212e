import type { FastifyReply, FastifyRequest } from "fastify";
import { mediaTypes } from "../../contract/rest-route.ts";
import type { Metrics } from "../../ports/telemetry.ts";

/** Others come from clients as they like, and a label takes few values. */
const methods: readonly string[] = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"];

/** One observation a request, by the path of its operation. Streams stay open for as long as somebody looks: they are left out. */
export function meterRequest(metrics: Metrics, request: FastifyRequest, reply: FastifyReply): void {
  if (isStream(request, reply)) return;
  const { url } = request.routeOptions;
  metrics.record("glasshouse_http_request_duration_seconds", reply.elapsedTime / 1000, {
    method: methods.includes(request.method) ? request.method : "other",
    route: url === undefined ? "none" : url.replaceAll(/:(\w+)/gu, "{$1}"),
    status: String(reply.statusCode),
  });
}

function isStream({ query }: FastifyRequest, reply: FastifyReply): boolean {
  const type = reply.getHeader("content-type");
  if (typeof type === "string" && type.startsWith(mediaTypes.events)) return true;
  if (typeof query !== "object" || query === null || !("follow" in query)) return false;
  return query.follow !== "false" && reply.statusCode === 200;
}
