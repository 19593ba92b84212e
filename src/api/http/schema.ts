import { GlasshouseError } from "../../domain/errors.ts";
import type { JsonObject } from "../../lib/json.ts";
import { nearest } from "../../lib/nearest.ts";
import type { Api, Handlers } from "./api.ts";

/** Documents that describe the service. Each is made once, when it is first asked for. */
export function schemaHandlers(
  api: Api,
): Pick<Handlers, "getSchema" | "getOpenApi" | "getAsyncApi"> {
  const made = new Map<string, JsonObject>();
  const once = async (name: string, make: () => Promise<JsonObject>): Promise<JsonObject> => {
    const document = made.get(name) ?? (await make());
    made.set(name, document);
    return document;
  };
  const { schemas, version } = api.service;
  return {
    getSchema: async ({ params }) => {
      const name = params.file.replace(/\.json$/u, "");
      const make = Object.hasOwn(schemas, name) ? schemas[name] : undefined;
      if (make === undefined || name === params.file) throw unknownSchema(params.file, schemas);
      return once(`schema ${name}`, make);
    },
    getOpenApi: () =>
      once("openapi", async () =>
        (await import("../../contract/openapi.ts")).openApiDocument(version),
      ),
    getAsyncApi: () =>
      once("asyncapi", async () =>
        (await import("../../contract/asyncapi.ts")).asyncApiDocument(version),
      ),
  };
}

function unknownSchema(file: string, schemas: Readonly<Record<string, unknown>>): GlasshouseError {
  const files = Object.keys(schemas).map((name) => `${name}.json`);
  const near = nearest(file, files);
  const hint = near === null ? `there are ${files.join(", ")}` : `did you mean ${near}?`;
  return new GlasshouseError("not-found", `There is no schema ${file}: ${hint}.`);
}
