import { z } from "zod";
import { createDocument } from "zod-openapi";
import type {
  ZodOpenApiOperationObject,
  ZodOpenApiOverride,
  ZodOpenApiPathsObject,
  ZodOpenApiResponsesObject,
} from "zod-openapi";
import { errorTable } from "../domain/errors.ts";
import type { Json, JsonObject } from "../lib/json.ts";
import { isJsonObject, toJson } from "../lib/json.ts";
import { problemView } from "./problem.ts";
import { mediaTypes, tags, type Body, type Reply, type Route } from "./rest-route.ts";
import { routes } from "./rest.ts";

/** The OpenAPI 3.1 document of the REST API, made from its table. `version` is the program's. */
export function openApiDocument(version: string): JsonObject {
  const document: Json = toJson(
    createDocument(
      {
        openapi: "3.1.1",
        info: {
          title: "Glasshouse",
          version,
          description:
            "Provisions whole environments from versioned templates, durably. What asks for a change is a command: it is answered with 202 once it is stored, and read at its `Location`. Lists are pages (`limit`, `cursor`, `next`). Errors are problem details (RFC 9457) with a stable `type` and `code`.",
          license: { name: "Apache-2.0", identifier: "Apache-2.0" },
        },
        servers: [{ url: "/" }],
        tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
        paths: pathsOf(routes),
      },
      { override: openReplies },
    ),
  );
  if (!isJsonObject(document)) throw new Error("The OpenAPI document is not an object.");
  return document;
}

/** A closed object in a reply would break the clients of today on the members of tomorrow. */
const openReplies: ZodOpenApiOverride = ({ jsonSchema, io }) => {
  if (io === "output" && jsonSchema.additionalProperties === false)
    delete jsonSchema.additionalProperties;
};

type Response = NonNullable<ZodOpenApiResponsesObject["200"]>;

function pathsOf(table: readonly Route[]): ZodOpenApiPathsObject {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const route of table) {
    paths[route.path] = {
      ...paths[route.path],
      [route.method.toLowerCase()]: operationOf(route),
    };
  }
  return paths;
}

function operationOf(route: Route): ZodOpenApiOperationObject {
  const { params: path, query, headers: header } = route;
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    requestParams: {
      ...(path === undefined ? {} : { path }),
      ...(query === undefined ? {} : { query }),
      ...(header === undefined ? {} : { header }),
    },
    ...(route.body === undefined ? {} : { requestBody: requestBodyOf(route.body) }),
    responses: responsesOf(route),
  };
}

function requestBodyOf(body: Body): NonNullable<ZodOpenApiOperationObject["requestBody"]> {
  const { schema } = body;
  return {
    required: body.optional !== true,
    content: {
      [mediaTypes.json]: { schema },
      ...(body.archive === true
        ? { [mediaTypes.archive]: { schema: { type: "string", format: "binary" } } }
        : {}),
    },
  };
}

function responsesOf(route: Route): ZodOpenApiResponsesObject {
  const problems: Record<string, Response> = {};
  const codes = route.notAvailable === true ? (["not-available"] as const) : (route.errors ?? []);
  for (const code of codes) {
    const { status } = errorTable[code];
    const same = codes.filter((other) => errorTable[other].status === status);
    problems[`${status}`] = problemResponse(
      same.map((other) => `\`${other}\`: ${errorTable[other].title}`).join("; "),
    );
  }
  const replies = route.notAvailable === true ? [] : Object.entries(route.replies);
  return {
    ...Object.fromEntries(replies.map(([status, reply]) => [status, responseOf(reply)])),
    ...(route.headers !== undefined && "if-none-match" in route.headers.shape
      ? { "304": { description: "It has not changed" } }
      : {}),
    ...problems,
    default: problemResponse("Any other problem"),
  };
}

function responseOf(reply: Reply): Response {
  const { schema, types = [mediaTypes.json], headers } = reply;
  return {
    description: reply.description,
    ...(headers === undefined ? {} : { headers }),
    ...(schema === undefined
      ? {}
      : {
          content: Object.fromEntries(
            types.map((type) => [type, { schema: type === mediaTypes.json ? schema : z.string() }]),
          ),
        }),
  };
}

function problemResponse(description: string): Response {
  return { description, content: { [mediaTypes.problem]: { schema: problemView } } };
}
