import { z } from "zod";
import { GlasshouseError, type ErrorDetail } from "../../../domain/errors.ts";
import type { SettingsShape } from "../../../domain/settings.ts";
import { secretsOf, type Value } from "../../../domain/value.ts";
import { canonicalJson, isJsonObject, type Json } from "../../../lib/json.ts";

/** `with:` of a group. */
export const settingsShape = {
  type: "object",
  fields: {
    prefix: {
      type: "string",
      required: true,
      description: "What the group's keys begin with, such as shop/${{ environment.name }}/",
    },
    keys: {
      type: "map",
      required: true,
      values: { type: "any" },
      description: "Keys below the prefix and their values: text as it is, all else as JSON",
    },
    datacenter: {
      type: "string",
      description: "Consul datacenter of the keys; that of the configuration when left out",
    },
  },
} as const satisfies SettingsShape;

/** Where keys are. */
export interface Place {
  /** That of the agent when null. */
  readonly datacenter: string | null;
  readonly prefix: string;
}

/** What a group wants. */
export interface KvSettings {
  readonly place: Place;
  /** Texts by key below the prefix. */
  readonly keys: ReadonlyMap<string, string>;
}

const parsed = z.object({
  prefix: z.string(),
  // Evaluated settings without secrets are JSON; looking through ten thousand values again would cost more than writing them.
  keys: z.record(z.string(), z.custom<Json>()),
  datacenter: z.string().min(1).nullish(),
});

/** The service's own keys: no template may write there. */
export const ownPrefix = "glasshouse/";

/**
 * Settings whose expressions were evaluated. `defaultDatacenter`: that of the configuration. Errors: `step-failed` for what only
 * shows once they are evaluated: a secret, a prefix that is none.
 */
export function parseSettings(settings: Value, defaultDatacenter: string | null): KvSettings {
  if (secretsOf(settings).length > 0)
    throw new GlasshouseError(
      "step-failed",
      "A value for Consul is a secret. Consul's key-value store is no place for secrets: everybody who may read the keys would see it.",
    );
  const { success, data, error } = parsed.safeParse(settings);
  if (!success) {
    const paths = error.issues.map((issue) => `with.${issue.path.join(".")}`);
    throw new GlasshouseError(
      "step-failed",
      `The settings do not fit once they are evaluated, at ${paths.join(", ")}: prefix and datacenter are text, keys a map.`,
      { cause: error },
    );
  }
  const fault = prefixFault(data.prefix) ?? keysFault(Object.keys(data.keys));
  if (fault !== null) throw new GlasshouseError("step-failed", fault);
  return {
    place: { datacenter: data.datacenter ?? defaultDatacenter, prefix: data.prefix },
    keys: new Map(Object.entries(data.keys).map(([key, value]) => [key, textOfValue(value)])),
  };
}

/** Mistakes in settings whose expressions are still text. */
export function validateSettings(settings: Json): readonly ErrorDetail[] {
  if (!isJsonObject(settings)) return [];
  const { prefix, keys } = settings;
  const details: ErrorDetail[] = [];
  // An expression may be all of it; what is written out shows at its ends.
  const fault = typeof prefix === "string" ? prefixFault(prefix) : null;
  if (fault !== null) details.push({ message: fault, pointer: "/prefix" });
  if (!isJsonObject(keys)) return details;
  for (const key of Object.keys(keys)) {
    const wrong = keysFault([key]);
    if (wrong !== null) details.push({ message: wrong, pointer: `/keys/${pointerOf(key)}` });
  }
  return details;
}

function prefixFault(prefix: string): string | null {
  if (!prefix.endsWith("/") && !prefix.endsWith("}}"))
    return `The prefix ${JSON.stringify(prefix)} must end with "/", so that it does not also begin other names.`;
  if (prefix.startsWith("/"))
    return `The prefix ${JSON.stringify(prefix)} must not begin with "/": Consul's keys do not.`;
  if (prefix.startsWith(ownPrefix))
    return `The prefix ${JSON.stringify(prefix)} is within ${ownPrefix}, where the service keeps its own keys: choose another.`;
  return null;
}

function keysFault(keys: readonly string[]): string | null {
  for (const key of keys) {
    if (key === "" || key.startsWith("/") || key.endsWith("/"))
      return `The key ${JSON.stringify(key)} must neither be empty nor begin or end with "/".`;
    // JSON objects in this language cannot be relied on to hold it.
    if (key === "__proto__") return "A key cannot have the name __proto__.";
  }
  return null;
}

function textOfValue(value: Json): string {
  return typeof value === "string" ? value : canonicalJson(value);
}

function pointerOf(key: string): string {
  return key.replaceAll("~", "~0").replaceAll("/", "~1");
}
