import { z } from "zod";
import { configSchema } from "../contract/config.ts";

/** One value of the configuration under its three names. */
export interface ConfigKey {
  /** `security.allowedHosts` */
  readonly key: string;
  readonly path: readonly string[];
  /** `GLASSHOUSE_SECURITY_ALLOWED_HOSTS` */
  readonly variable: string;
  /** `--security-allowed-hosts` */
  readonly flag: string;
  readonly kind: "text" | "number" | "boolean" | "list" | "map";
  readonly description: string;
  /** As it is written in the file; undefined when there is none. */
  readonly default: unknown;
  readonly isPath: boolean;
  readonly isSecret: boolean;
  readonly isFileOnly: boolean;
  readonly isLater: boolean;
}

/** Every key, in the order of the schema. */
export const configKeys: readonly ConfigKey[] = keysOf(configSchema, []);

/** Sections, such as `store` and `executors.terraform`, and what is in them. */
export function membersOf(section: readonly string[]): readonly string[] {
  const depth = section.length;
  const inside = configKeys.filter(({ path }) => section.every((part, at) => path[at] === part));
  return [...new Set(inside.flatMap(({ path }) => path[depth] ?? []))];
}

/** Variables that begin like keys but name something else of the program. */
const otherVariables: ReadonlySet<string> = new Set([
  "GLASSHOUSE_CA",
  "GLASSHOUSE_CLIENT_CERTIFICATE",
  "GLASSHOUSE_CLIENT_KEY",
  "GLASSHOUSE_CONFIG",
  "GLASSHOUSE_NODE",
  "GLASSHOUSE_SERVER",
  "GLASSHOUSE_TOKEN",
]);

/** Names of variables that look meant for the program and that nothing reads. */
export function ignoredVariables(names: readonly string[]): readonly string[] {
  const known = new Set(configKeys.filter((key) => !key.isFileOnly).map((key) => key.variable));
  return names
    .filter((name) => name.startsWith("GLASSHOUSE_"))
    .filter((name) => !known.has(name) && !otherVariables.has(name))
    .sort();
}

interface Unwrapped {
  readonly schema: z.ZodType;
  readonly default: unknown;
  readonly meta: Readonly<Record<string, unknown>>;
}

function keysOf(schema: z.ZodObject, path: readonly string[]): readonly ConfigKey[] {
  return Object.entries(schema.shape).flatMap(([name, member]) => {
    const unwrapped = unwrap(member, { default: undefined, meta: {} });
    const at = [...path, name];
    return unwrapped.schema instanceof z.ZodObject
      ? keysOf(unwrapped.schema, at)
      : [keyOf(at, unwrapped)];
  });
}

function unwrap(schema: unknown, outer: Omit<Unwrapped, "schema">): Unwrapped {
  if (!(schema instanceof z.ZodType)) throw new TypeError("not a schema");
  const meta = { ...schema.meta(), ...outer.meta };
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return unwrap(schema.unwrap(), { default: schema.def.defaultValue, meta });
  if (schema instanceof z.ZodOptional) return unwrap(schema.unwrap(), { ...outer, meta });
  if (schema instanceof z.ZodPipe) return unwrap(schema.in, { ...outer, meta });
  return { schema, default: outer.default, meta };
}

function keyOf(path: readonly string[], unwrapped: Unwrapped): ConfigKey {
  const { meta } = unwrapped;
  const words = path.flatMap((part) => part.split(/(?=[A-Z])/u)).map((word) => word.toLowerCase());
  return {
    key: path.join("."),
    path,
    variable: `GLASSHOUSE_${words.join("_").toUpperCase()}`,
    flag: `--${words.join("-")}`,
    kind: kindOf(unwrapped.schema),
    description: typeof meta["description"] === "string" ? meta["description"] : "",
    default: unwrapped.default,
    isPath: meta["path"] === true,
    isSecret: meta["secret"] === true,
    isFileOnly: meta["fileOnly"] === true,
    isLater: meta["later"] === true,
  };
}

function kindOf(schema: z.ZodType): ConfigKey["kind"] {
  if (schema instanceof z.ZodNumber) return "number";
  if (schema instanceof z.ZodBoolean) return "boolean";
  if (schema instanceof z.ZodArray) return "list";
  return schema instanceof z.ZodRecord ? "map" : "text";
}
