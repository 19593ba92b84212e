import { posix } from "node:path";
import { z } from "zod";
import { GlasshouseError, type ErrorDetail } from "../../../domain/errors.ts";
import type { SettingsShape } from "../../../domain/settings.ts";
import { secretsOf, type Value, type Values } from "../../../domain/value.ts";
import type { Json } from "../../../lib/json.ts";

const command = {
  type: "list",
  minItems: 1,
  items: { type: "scalar", argument: true },
} as const;

/** `with:` of a group. */
export const settingsShape = {
  type: "object",
  fields: {
    create: { ...command, required: true, description: "Program and arguments that make it" },
    update: { ...command, description: "Changes what was made; `create` when absent" },
    destroy: { ...command, description: "Takes it down; nothing is run when absent" },
    observe: {
      ...command,
      description: "Looks without changing: exit 0 there and right, 3 absent, 4 drifted",
    },
    inputs: {
      type: "map",
      values: { type: "any", secret: true },
      description: "Given on standard input; the only place for secrets",
    },
    files: {
      type: "list",
      items: { type: "string", path: true, literal: true },
      description:
        "Further files and folders of the template whose change makes the group run again",
    },
    env: {
      type: "map",
      keyPattern: "^[A-Za-z_][A-Za-z0-9_]*$",
      values: { type: "scalar", argument: true },
      description: "Environment variables",
    },
    repeatable: {
      type: "boolean",
      literal: true,
      description: "Running it twice is harmless, so it is repeated when its outcome is unknown",
    },
    leavesProcesses: {
      type: "boolean",
      literal: true,
      description: "Processes that it starts stay after it ends",
    },
    app: {
      type: "object",
      description: "Where the program comes from",
      fields: {
        url: { type: "string", literal: true, notAvailable: true },
        name: { type: "string", literal: true },
      },
    },
  },
} as const satisfies SettingsShape;

export const operations = ["create", "update", "destroy", "observe"] as const;
export type Operation = (typeof operations)[number];

/** Settings with everything filled in but secrets, which are left only in `inputs`. */
export interface CommandSettings {
  readonly commands: Readonly<Partial<Record<Operation, readonly string[]>>>;
  readonly inputs: Values;
  readonly env: Readonly<Record<string, string>>;
  readonly files: readonly string[];
  readonly repeatable: boolean;
  readonly leavesProcesses: boolean;
}

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const argv = z.array(scalar).min(1).optional();
const parsed = z.object({
  create: argv,
  update: argv,
  destroy: argv,
  observe: argv,
  inputs: z.custom<Values>().default({}),
  env: z.record(z.string(), scalar).default({}),
  files: z.array(z.string()).default([]),
  repeatable: z.boolean().default(false),
  leavesProcesses: z.boolean().default(false),
  app: z.object({ url: z.string().optional() }).optional(),
});
const parsedToDestroy = parsed.omit({ create: true, update: true });

/**
 * Settings that passed the shape's check. Errors: `not-available` for an app with a URL; `step-failed` when a secret or a
 * list came to stand in an argument or variable, which only shows when expressions are evaluated.
 */
export function parseSettings(settings: Value): CommandSettings {
  return parseAs(parsed, settings);
}

/**
 * The same without the commands that make and change. A mistake in those, which is why they were never run, must not keep
 * the group from being destroyed. Errors: as above.
 */
export function parseSettingsToDestroy(settings: Value): CommandSettings {
  return parseAs(parsedToDestroy, settings);
}

function parseAs(schema: typeof parsed | typeof parsedToDestroy, settings: Value): CommandSettings {
  const { success, data, error } = schema.safeParse(settings);
  if (!success) throw malformed(settings, error);
  if (data.app?.url !== undefined)
    throw new GlasshouseError(
      "not-available",
      "Apps fetched from a URL (`app.url`) are not available in this version.",
    );
  const { env, inputs, files, repeatable, leavesProcesses } = data;
  const rest = { inputs, files, repeatable, leavesProcesses };
  const given: Partial<Record<Operation, readonly (string | number | boolean)[] | undefined>> =
    data;
  const commands: Partial<Record<Operation, readonly string[]>> = {};
  for (const operation of operations) {
    const list = given[operation];
    if (list !== undefined) commands[operation] = list.map(asText);
  }
  const texts = Object.entries(env).map(([name, value]) => [name, asText(value)]);
  return { ...rest, commands, env: Object.fromEntries(texts) };
}

/** Mistakes in settings whose expressions are still text. */
export function validateSettings(settings: Json): readonly ErrorDetail[] {
  const { success, data } = parsed.safeParse(settings);
  // What the shape says is checked by the shape.
  if (!success) return [];
  const details: ErrorDetail[] = [];
  for (const operation of operations) {
    const program = data[operation]?.[0];
    const fault = program === undefined ? null : programFault(program);
    if (fault !== null) details.push({ message: fault, pointer: `/${operation}/0` });
  }
  for (const name of Object.keys(data.env)) {
    if (!/^(?:GLASSHOUSE_.*|TRACEPARENT)$/u.test(name)) continue;
    details.push({
      message: `The variable ${name} is set by the service: choose another name.`,
      pointer: `/env/${name}`,
    });
  }
  return details;
}

/**
 * Files whose content decides whether the group runs again: the folder of the program that creates or updates, of each
 * argument that begins with `./` (scripts of an interpreter), and `files`.
 */
export function filesOf(settings: Json): readonly string[] {
  const { success, data } = parsed.safeParse(settings);
  if (!success) return [];
  const commands = [data.create ?? [], data.update ?? []];
  const named = commands.flatMap((list) =>
    list
      .map(String)
      .filter(
        (text, n) =>
          !text.includes("${{") && (n === 0 ? isTemplateProgram(text) : text.startsWith("./")),
      ),
  );
  const folders = named.map((path) => posix.dirname(posix.normalize(path)));
  return [...new Set([...folders, ...data.files.map((path) => posix.normalize(path))])].map(
    (path) => (path === "." ? "" : path),
  );
}

/** A program with a slash is a file of the template; without, it is looked up on PATH. */
export function isTemplateProgram(program: string): boolean {
  return program.includes("/") && !program.startsWith("/");
}

function programFault(program: string | number | boolean): string | null {
  if (typeof program !== "string" || program === "") return "The program must be a name or a path.";
  if (program.includes("=")) return `The program "${program}" may not have "=" in its name.`;
  if (isTemplateProgram(program) && posix.normalize(program).startsWith(".."))
    return `The program "${program}" lies outside of the template's folder: use a path inside of it, or a name on PATH.`;
  return null;
}

function asText(value: string | number | boolean): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function malformed(settings: Value, cause: z.ZodError): GlasshouseError {
  const paths = cause.issues.map((issue) => `with.${issue.path.join(".")}`);
  const secret = secretsOf(settings).length > 0 ? " Secrets can only be given in `inputs`." : "";
  return new GlasshouseError(
    "step-failed",
    `The settings of this command do not fit once they are evaluated, at ${paths.join(", ")}: arguments and variables are strings, numbers or booleans.${secret}`,
    { cause },
  );
}
