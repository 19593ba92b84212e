import { gunzipSync, gzipSync } from "node:zlib";
import type { FastifyReply, FastifyRequest } from "fastify";
import { errorTable } from "../../domain/errors.ts";
import { apiRoot, mediaTypes } from "../../contract/rest-route.ts";
import type { Handlers } from "./api.ts";
import { contentTag, namesTag } from "./etag.ts";

type Ids = "getDocs" | "getDocsErrors" | "getDocsScript" | "getDocsLibrary";

/** The API page. It needs nothing from elsewhere: the library is in the program, and no setting asks a foreign host. */
export function docsHandlers(): Pick<Handlers, Ids> {
  let library: Promise<Buffer> | null = null;
  return {
    getDocs: async ({ reply }) => reply.type(`${mediaTypes.html}; charset=utf-8`).send(page),
    getDocsErrors: async ({ reply }) =>
      reply.type(`${mediaTypes.html}; charset=utf-8`).send(errorsPage()),
    getDocsScript: async ({ reply }) => reply.type(mediaTypes.script).send(startScript),
    getDocsLibrary: async ({ request, reply }) => {
      library ??= loadLibrary();
      return sendLibrary(await library, { request, reply });
    },
  };
}

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Glasshouse API</title>
  </head>
  <body>
    <div id="reference"></div>
    <noscript>This page needs JavaScript. The description itself is at <a href="${apiRoot}/openapi.json">${apiRoot}/openapi.json</a>.</noscript>
    <script src="${apiRoot}/docs/reference.js"></script>
    <script src="${apiRoot}/docs/start.js"></script>
  </body>
</html>
`;

/** Without these settings the page asks foreign hosts for fonts and more. */
const settings = {
  url: `${apiRoot}/openapi.json`,
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  hideClientButton: true,
  showDeveloperTools: "never",
} as const;

const startScript = `Scalar.createApiReference("#reference", ${JSON.stringify(settings)});\n`;

/**
 * The library is a string within its package, given out only by its plugin: it is asked for it once. Kept compressed, as
 * it is 4.9 MB long.
 */
async function loadLibrary(): Promise<Buffer> {
  const [{ default: fastify }, { default: reference }] = await Promise.all([
    import("fastify"),
    import("@scalar/fastify-api-reference"),
  ]);
  const app = fastify({ logger: false });
  await app.register(reference, { routePrefix: "/reference", configuration: { content: "{}" } });
  const { rawPayload } = await app.inject("/reference/js/scalar.js");
  await app.close();
  return gzipSync(rawPayload, { level: 9 });
}

function sendLibrary(
  compressed: Buffer,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
): FastifyReply {
  const tag = contentTag(compressed.toString("base64"));
  void reply.type(mediaTypes.script).headers({ etag: tag, vary: "accept-encoding" });
  const known = request.headers["if-none-match"];
  if (known !== undefined && namesTag(known, tag)) return reply.code(304).send();
  const takesGzip = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/u.test(
    request.headers["accept-encoding"] ?? "",
  );
  if (takesGzip) return reply.header("content-encoding", "gzip").send(compressed);
  return reply.send(gunzipSync(compressed));
}

function errorsPage(): string {
  const rows = Object.entries(errorTable).map(
    ([code, { status, exitCode, kind, title, advice }]) =>
      `<section id="${code}"><h2>${code}</h2><p>${escaped(title)}. ${escaped(advice)}</p><p>HTTP status ${status}, exit code ${exitCode}, ${kind}.</p></section>`,
  );
  return `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><title>Errors of Glasshouse</title></head>
  <body>
    <h1>Errors</h1>
    <p>The <code>type</code> of a problem leads here. A transient error may pass when the same thing is tried again; a terminal one will not.</p>
    ${rows.join("\n    ")}
  </body>
</html>
`;
}

function escaped(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(/`([^`]+)`/gu, "<code>$1</code>");
}
