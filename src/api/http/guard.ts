import type { FastifyReply, FastifyRequest } from "fastify";
import { GlasshouseError } from "../../domain/errors.ts";
import { mediaTypes } from "../../contract/rest-route.ts";

/**
 * Until there is authentication, what may talk to this server is decided here: a web page of elsewhere must not be able to,
 * neither by a form, nor by a script, nor by a name that it makes resolve to loopback.
 */
export function refuseForeign(request: FastifyRequest, allowedHosts: readonly string[]): void {
  const host = request.headers.host ?? "";
  if (!isAllowedHost(host, allowedHosts)) {
    throw new GlasshouseError(
      "forbidden",
      `The Host "${shown(host)}" is not a name of this server. Use 127.0.0.1, localhost or [::1], or add the name to security.allowedHosts in its configuration.`,
    );
  }
  const { origin } = request.headers;
  if (origin !== undefined && !isSameOrigin(origin, host)) {
    throw new GlasshouseError(
      "forbidden",
      `Pages of ${shown(origin)} may not use this server. Call it from a program, or through a page that it serves itself.`,
    );
  }
  const site = request.headers["sec-fetch-site"];
  const isForeign = site === "cross-site" || site === "same-site";
  if (isForeign && request.headers["sec-fetch-mode"] !== "navigate") {
    throw new GlasshouseError(
      "forbidden",
      "Pages of another site may not use this server. Call it from a program, or through a page that it serves itself.",
    );
  }
}

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/iu;

function isAllowedHost(host: string, allowedHosts: readonly string[]): boolean {
  const name = host.replace(/:\d{1,5}$/u, "");
  return (
    loopback.test(name) ||
    allowedHosts.some((allowed) => allowed.toLowerCase() === name.toLowerCase())
  );
}

function isSameOrigin(origin: string, host: string): boolean {
  const parts = /^https?:\/\/(?<at>[^/]+)$/iu.exec(origin)?.groups;
  return parts?.["at"]?.toLowerCase() === host.toLowerCase();
}

function shown(text: string): string {
  return text.slice(0, 200).replaceAll(/[^\u0021-\u007e]/gu, "?");
}

/** A body needs a content type that a form cannot send. `archive`: the route takes tar.gz, too. */
export function refuseOtherTypes(
  request: FastifyRequest,
  takes: { readonly archive: boolean },
): void {
  if (!hasBody(request)) return;
  const given = request.headers["content-type"] ?? "";
  const [type = "", ...parameters] = given.split(";").map((part) => part.trim().toLowerCase());
  const known: readonly string[] = [mediaTypes.json, mediaTypes.cloudEvent];
  const charset = parameters.find((part) => part.startsWith("charset="));
  const isUtf8 = charset === undefined || /^charset="?utf-?8"?$/u.test(charset);
  if (takes.archive && type === mediaTypes.archive) return;
  if (known.includes(type) && isUtf8) return;
  const archive = takes.archive ? `, or ${mediaTypes.archive} for a tar.gz` : "";
  throw new GlasshouseError(
    "unsupported-media-type",
    `The content type "${shown(given)}" is not taken: send ${known.join(" or ")} in UTF-8${archive}.`,
  );
}

function hasBody(request: FastifyRequest): boolean {
  const length = request.headers["content-length"];
  return (
    request.headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0")
  );
}

const docsPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Headers of every answer. */
export function setSecurityHeaders(request: FastifyRequest, reply: FastifyReply): void {
  const isDocs = request.url.startsWith("/api/v1/docs");
  void reply.headers({
    "content-security-policy": isDocs ? docsPolicy : "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
    "cache-control": "private, no-cache",
  });
}
