import { posix } from "node:path";
import { z } from "zod";
import type { Json } from "../../../lib/json.ts";
import { isJsonObject } from "../../../lib/json.ts";
import type { ErrorDetail } from "../../../domain/errors.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { SettingsShape } from "../../../domain/settings.ts";
import type { Value, Values } from "../../../domain/value.ts";

/** `with:` of a group. */
export const settingsShape = {
  type: "object",
  fields: {
    source: {
      type: "string",
      required: true,
      path: true,
      literal: true,
      description: "Folder of the root module, relative to the template",
    },
    variables: {
      type: "map",
      values: { type: "any", secret: true },
      keyPattern: "^[a-zA-Z_][a-zA-Z0-9_-]*$",
      description: "Values of the module's variables; secrets are accepted",
    },
    files: {
      type: "list",
      items: { type: "string", path: true, literal: true },
      description: "Further files and folders that the module uses, such as shared modules",
    },
  },
} as const satisfies SettingsShape;

export interface TerraformSettings {
  /** Relative to the template, normal form, "" for the template's own folder. */
  readonly source: string;
  readonly variables: Values;
  /** Everything whose content counts: the source first. */
  readonly paths: readonly string[];
}

const parsedSettings = z.object({
  source: z.string(),
  variables: z.custom<Values>().default({}),
  files: z.array(z.string()).default([]),
});

/** Settings that passed the shape's check. Errors: `internal` when they did not. */
export function parseSettings(settings: Value | Json): TerraformSettings {
  const parsed = parsedSettings.safeParse(settings);
  if (!parsed.success) {
    throw new GlasshouseError("internal", "The settings of a terraform group are malformed.", {
      cause: parsed.error,
    });
  }
  const { source, variables, files } = parsed.data;
  const paths = [source, ...files].map((path) => normalPath(path));
  return { source: paths[0] ?? "", variables, paths };
}

export function filesOf(settings: Json): readonly string[] {
  return parseSettings(settings).paths;
}

/** The variable that the service fills by itself when the module declares it. */
export const ownVariable = "glasshouse";

export function validateSettings(settings: Json): readonly ErrorDetail[] {
  const variables = isJsonObject(settings) ? settings["variables"] : undefined;
  if (!isJsonObject(variables) || !(ownVariable in variables)) return [];
  return [
    {
      message: `The variable "${ownVariable}" is filled by the service (environment, template, group, owner): take it out of \`variables\`, or give yours another name.`,
      pointer: `/variables/${ownVariable}`,
    },
  ];
}

export function normalPath(path: string): string {
  const normal = posix.normalize(path).replace(/\/+$/u, "");
  return normal === "." ? "" : normal;
}
