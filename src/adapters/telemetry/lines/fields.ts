import type { LogFields } from "../../../ports/telemetry.ts";

const secretName =
  /pass(?:word|phrase|wd)|secret|token|authorization|cookie|credential|api[-_]?key|private[-_]?key|access[-_]?key/iu;
const deepest = 6;
const longestList = 100;

/** The fields as JSON can hold them: secret-looking members masked, errors spelt out, depth and length bounded. */
export function plainFields(fields: LogFields): Record<string, unknown> {
  return members(Object.entries(fields), 0);
}

function members(
  entries: readonly (readonly [string, unknown])[],
  depth: number,
): Record<string, unknown> {
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      isSecret(name, value) ? "(secret)" : plain(value, depth),
    ]),
  );
}

/** Numbers and booleans are no secrets: a fencing token counts claims. */
function isSecret(name: string, value: unknown): boolean {
  return secretName.test(name) && typeof value !== "number" && typeof value !== "boolean";
}

function plain(value: unknown, depth: number): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "function" || typeof value === "symbol") return undefined;
  if (typeof value !== "object" || value === null) return value;
  if (depth >= deepest) return "…";
  if (value instanceof Error) return errorFields(value, depth);
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof Date) return value.toJSON();
  if (Array.isArray(value))
    return value.slice(0, longestList).map((item) => plain(item, depth + 1));
  return members(Object.entries(value), depth + 1);
}

function errorFields(error: Error, depth: number): Record<string, unknown> {
  const code: unknown = "code" in error ? error.code : undefined;
  return {
    name: error.name,
    message: error.message,
    ...(typeof code === "string" || typeof code === "number" ? { code } : {}),
    stack: error.stack,
    ...(error instanceof AggregateError ? { errors: plain(error.errors, depth + 1) } : {}),
    ...(error.cause === undefined ? {} : { cause: plain(error.cause, depth + 1) }),
  };
}
