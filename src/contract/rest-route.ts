import { z } from "zod";
import type { ErrorCode } from "../domain/errors.ts";

/**
 * One operation of the REST API. The table of all of them (`rest.ts`) is the one source of the server's routes, of the
 * OpenAPI document and of the clients' types.
 */
export interface Route {
  /** Unique; the `operationId` of the document and the name of its handler. */
  readonly id: string;
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** As OpenAPI writes it: `/api/v1/runs/{run}`. */
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly tag: Tag;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly headers?: z.ZodObject;
  readonly body?: Body;
  /** What it answers when all is well, by status. Every operation may also answer a problem. */
  readonly replies: Readonly<Record<number, Reply>>;
  /** Problems that are typical of it; others of the table of errors may come too. */
  readonly errors?: readonly ErrorCode[];
  /** Known to the contract, answered 501 `not-available` in this version. */
  readonly notAvailable?: true;
}

export interface Body {
  readonly schema: z.ZodType;
  /** An empty body stands for `{}`. */
  readonly optional?: true;
  /** Beside JSON and CloudEvents. */
  readonly archive?: true;
}

export interface Reply {
  readonly description: string;
  /** Absent: no body. */
  readonly schema?: z.ZodType;
  /** `application/json` when left out. The same reply in several types, the first the default. */
  readonly types?: readonly string[];
  readonly headers?: z.ZodObject;
}

export const tags = {
  environments: "What templates were turned into",
  templates: "Versioned descriptions of environments",
  runs: "Executions of plans, their steps and logs",
  plans: "Plans that were asked for and kept",
  resources: "Things in environments",
  search: "Full text over all of these",
  commands: "Everything that asks for a change",
  events: "The journal, as a list and live",
  service: "The service itself: health, version, contracts",
  later: "Not available in this version",
} as const;

export type Tag = keyof typeof tags;

export const apiRoot = "/api/v1";

export const mediaTypes = {
  json: "application/json",
  cloudEvent: "application/cloudevents+json",
  problem: "application/problem+json",
  archive: "application/gzip",
  events: "text/event-stream",
  lines: "application/jsonl",
  text: "text/plain",
  html: "text/html",
  script: "text/javascript",
} as const;

/** Limits of what one request may carry. */
export const requestLimits = {
  jsonBytes: 1024 * 1024,
  /** Levels of lists and objects within a JSON body. */
  jsonDepth: 64,
  pageSize: 500,
  defaultPageSize: 50,
  /** Of a path's part, a header that names something, a cursor. */
  nameLength: 300,
} as const;

/** Members of `headers` of requests that change something. */
export const commandHeaders = z.object({
  "idempotency-key": z.string().min(1).max(200).optional().meta({
    description:
      "The command's id. The same key with the same body takes effect once and gets the same answer; with another body it is refused.",
  }),
  traceparent: z
    .string()
    .optional()
    .meta({ description: "W3C trace context; the command, its run and its children carry it on." }),
});

export const conditionalCommandHeaders = commandHeaders.extend({
  "if-match": z
    .string()
    .optional()
    .meta({ description: "The environment's ETag: refused with 412 when it has changed since." }),
});

export const readHeaders = z.object({
  "if-none-match": z
    .string()
    .optional()
    .meta({ description: "An ETag from before: 304 when it still stands." }),
});

/** What `q=` takes; `domain/search-query` reads it. */
export const searchQuery = z.string().meta({
  description:
    'Words (all of them), "phrases", beginnings (`web*`), `-not`, `OR`, parentheses, and the fields kind, name, environment, template, group, status, type, tag (`tag:team=core`)',
  examples: ["web kind:observed environment:shop -type:aws_eip"],
});

export const pageQuery = z.strictObject({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(requestLimits.pageSize)
    .default(requestLimits.defaultPageSize)
    .meta({ description: "The most items of the page" }),
  cursor: z
    .string()
    .max(requestLimits.nameLength)
    .optional()
    .meta({ description: "`next` of the page before" }),
});

export const searchablePageQuery = pageQuery.extend({ q: searchQuery.optional() });

/** A switch in a query: `?cascade` and `?cascade=true` are true. */
export const flag = z
  .enum(["", "true", "false", "1", "0"], { error: "must be true or false" })
  .optional()
  .transform((text) => text !== undefined && text !== "false" && text !== "0");

/** A part of a path that names something: an id or a name, whatever its form; what does not exist is 404. */
export const segment = (description: string): z.ZodString =>
  z.string().min(1).max(requestLimits.nameLength).meta({ description });

export const emptyBody = z.strictObject({}).meta({ description: "Nothing" });
