import { secretMask } from "../domain/value.ts";
import type { Json } from "../lib/json.ts";
import type { LoadedConfig } from "./config.ts";

export interface ConfigRow {
  readonly key: string;
  /** Masked where it is secret; a reference to a secret is shown as it is. */
  readonly value: Json;
  readonly origin: string;
  readonly description: string;
}

/** Every value of the configuration with where it came from. */
export function configRows(loaded: LoadedConfig): readonly ConfigRow[] {
  return loaded.values.map(({ key, value, origin }) => ({
    key: key.key,
    value: shown(value, key.isSecret),
    origin,
    description: key.description,
  }));
}

function shown(value: unknown, isSecret: boolean): Json {
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return isSecret && !isReference(value) ? secretMask : value;
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (Array.isArray(value)) return value.map((item) => shown(item, isSecret));
  if (typeof value !== "object") return null;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, shown(item, isSecret)]),
  );
}

function isReference(text: string): boolean {
  return /^(?:env|file|vault):/u.test(text);
}
