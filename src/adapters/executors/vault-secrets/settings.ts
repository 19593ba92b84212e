import { z } from "zod";
import { kvPathFault } from "../../../clients/vault/kv.ts";
import { GlasshouseError, type ErrorDetail } from "../../../domain/errors.ts";
import type { SettingsShape } from "../../../domain/settings.ts";
import type { Value, Values } from "../../../domain/value.ts";
import { isJsonObject, type Json } from "../../../lib/json.ts";

/** `with:` of a group. */
export const settingsShape = {
  type: "object",
  fields: {
    path: {
      type: "string",
      required: true,
      description: "The key in the KV engine, such as shop/${{ environment.name }}/db",
    },
    data: {
      type: "map",
      required: true,
      values: { type: "scalar", secret: true },
      description: "Fields of the key and their values; secrets are accepted",
    },
    mount: {
      type: "string",
      description: "Where the KV engine, version 2, is; vault.kv.mount when left out",
    },
  },
} as const satisfies SettingsShape;

export interface SecretSettings {
  readonly mount: string;
  readonly path: string;
  /** Secrets as references. */
  readonly data: Values;
}

const parsed = z.object({
  path: z.string(),
  mount: z.string().min(1).nullish(),
  data: z.record(z.string(), z.custom<Value>()),
});

/** Settings whose expressions were evaluated. Errors: `step-failed` for what only shows then. */
export function parseSettings(settings: Value, defaultMount: string): SecretSettings {
  const { success, data, error } = parsed.safeParse(settings);
  if (!success)
    throw new GlasshouseError(
      "step-failed",
      "The settings do not fit once they are evaluated: path and mount are text, data a map.",
      { cause: error },
    );
  const fault = kvPathFault(data.path);
  if (fault !== null) throw new GlasshouseError("step-failed", fault);
  return { mount: data.mount ?? defaultMount, path: data.path, data: data.data };
}

/** Mistakes in settings whose expressions are still text. */
export function validateSettings(settings: Json): readonly ErrorDetail[] {
  if (!isJsonObject(settings)) return [];
  const { path, data } = settings;
  const details: ErrorDetail[] = [];
  if (typeof path === "string" && !path.includes("${{")) {
    const fault = kvPathFault(path);
    if (fault !== null) details.push({ message: fault, pointer: "/path" });
  }
  if (isJsonObject(data) && Object.keys(data).length === 0)
    details.push({ message: "data is empty: name at least one field", pointer: "/data" });
  return details;
}
