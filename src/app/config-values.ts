import type { ErrorDetail } from "../domain/errors.ts";
import { configKeys, type ConfigKey } from "./config-keys.ts";

/** A value as one source gave it. */
export interface FoundValue {
  readonly value: unknown;
  /** For people: `glasshouse.yaml:3:5`, `GLASSHOUSE_LISTEN`, `--listen`. */
  readonly origin: string;
  readonly from: "default" | "file" | "variable" | "flag";
}

export interface FoundValues {
  readonly values: ReadonlyMap<string, FoundValue>;
  readonly problems: readonly ErrorDetail[];
}

/** Flags as they were given: a text each, several for lists and maps. */
export type Flags = Readonly<Record<string, string | readonly string[] | boolean | undefined>>;

/** What the environment says. Only variables that name a key are read; an empty one counts as absent. */
export function valuesOfEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): FoundValues {
  return collect("variable", (key) => {
    const given = env[key.variable];
    return given === undefined || given === ""
      ? null
      : { origin: key.variable, texts: splitList(key, given) };
  });
}

/** What the flags say; keyed by their long name without dashes, as in `store-url`. */
export function valuesOfFlags(flags: Flags): FoundValues {
  return collect("flag", (key) => {
    const given = flags[key.flag.slice(2)];
    if (given === undefined) return null;
    const texts = Array.isArray(given) ? given.map(String) : [String(given)];
    return { origin: key.flag, texts: texts.flatMap((text) => splitList(key, text)) };
  });
}

function collect(
  from: FoundValue["from"],
  read: (key: ConfigKey) => { readonly origin: string; readonly texts: readonly string[] } | null,
): FoundValues {
  const values = new Map<string, FoundValue>();
  const problems: ErrorDetail[] = [];
  for (const key of configKeys) {
    const given = key.isFileOnly ? null : read(key);
    if (given === null) continue;
    const converted = convert(key, given.texts);
    if ("message" in converted)
      problems.push({ message: `${key.key} ${converted.message}`, place: given.origin });
    else values.set(key.key, { value: converted.value, origin: given.origin, from });
  }
  return { values, problems };
}

/** A list is written with commas. */
function splitList(key: ConfigKey, text: string): readonly string[] {
  if (key.kind !== "list" && key.kind !== "map") return [text];
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function convert(
  key: ConfigKey,
  texts: readonly string[],
): { readonly value: unknown } | { readonly message: string } {
  const text = texts.at(-1) ?? "";
  switch (key.kind) {
    case "text":
      return { value: text };
    case "number":
      return /^-?\d+$/u.test(text)
        ? { value: Number(text) }
        : { message: "must be a whole number" };
    case "boolean":
      return text === "true" || text === "false"
        ? { value: text === "true" }
        : { message: "must be true or false" };
    case "list":
      return { value: texts };
    case "map":
      return mapOf(key, texts);
  }
}

const mapsOfNumbers: readonly string[] = ["engine.placesByExecutor", "consul.sidecar.upstreams"];

function mapOf(
  key: ConfigKey,
  texts: readonly string[],
): { readonly value: unknown } | { readonly message: string } {
  const pairs = texts.map((text) => /^([^=]+)=(.*)$/su.exec(text));
  if (pairs.includes(null)) return { message: "must be written as NAME=value" };
  const numbers = mapsOfNumbers.includes(key.key);
  return {
    value: Object.fromEntries(
      pairs.flatMap((pair) => {
        const [, name = "", value = ""] = pair ?? [];
        return [[name.trim(), numbers ? Number(value) : value] as const];
      }),
    ),
  };
}
