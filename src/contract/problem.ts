import { z } from "zod";
import { errorTable, type ErrorCode, type ErrorDetail } from "../domain/errors.ts";
import { apiRoot } from "./rest-route.ts";

/** Answers other than success: RFC 9457 problem details. */
export const problemView = z
  .object({
    type: z.string().meta({ description: "Names the kind of problem; leads to its description" }),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().meta({ examples: ["not-found"] }),
    advice: z.string().meta({ description: "What to do next" }),
    instance: z.string().optional().meta({ description: "The path that was asked for" }),
    errors: z
      .array(
        z.object({
          message: z.string(),
          pointer: z.string().optional().meta({
            description: "JSON pointer into the body; `query:` and `header:` name others",
          }),
          place: z.string().optional().meta({ description: "file:line:column" }),
        }),
      )
      .optional(),
    traceId: z.string(),
  })
  .meta({ id: "Problem", description: "Problem details (RFC 9457)" });

export type Problem = Readonly<z.infer<typeof problemView>>;

/**
 * The `type` of a problem is a reference relative to the server: it is the same on every server, needs no invented host,
 * and opens the page that describes it. RFC 9457 allows relative references and asks for the full path, as here.
 */
export function problemType(code: ErrorCode): string {
  return `${apiRoot}/docs/errors#${code}`;
}

/** Builds the plain body of a problem. */
export function problemOf(
  code: ErrorCode,
  of: {
    readonly message: string;
    readonly details: readonly ErrorDetail[];
    readonly traceId: string;
    readonly instance?: string;
  },
): Problem {
  const { status, title, advice } = errorTable[code];
  return {
    type: problemType(code),
    title,
    status,
    detail: of.message,
    code,
    advice,
    ...(of.instance === undefined ? {} : { instance: of.instance }),
    ...(of.details.length === 0 ? {} : { errors: of.details.map((detail) => ({ ...detail })) }),
    traceId: of.traceId,
  };
}
