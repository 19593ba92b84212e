import { dirname, resolve } from "node:path";
import type { z } from "zod";
import { configSchema, type Config } from "../contract/config.ts";
import { GlasshouseError, type ErrorDetail } from "../domain/errors.ts";
import { readConfigFile } from "./config-file.ts";
import type { ConfigFile } from "./config-yaml.ts";
import { configKeys, ignoredVariables, type ConfigKey } from "./config-keys.ts";
import {
  valuesOfEnvironment,
  valuesOfFlags,
  type Flags,
  type FoundValue,
} from "./config-values.ts";

export interface ConfigInput {
  /** By long name without dashes; `config` names the file. */
  readonly flags: Flags;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** The file that was read, or null. */
  readonly file: string | null;
  /** Where each value came from, in the order of the schema. */
  readonly values: readonly (FoundValue & { readonly key: ConfigKey })[];
  /** `GLASSHOUSE_…` variables that nothing reads. */
  readonly ignored: readonly string[];
}

const defaultFile = "glasshouse.yaml";

/**
 * The configuration: file, then environment variables, then flags, each overriding the one before. Paths in the file are
 * relative to it, others to the working directory. Errors: `invalid-configuration` with every mistake and its place;
 * `not-available` when all that is wrong is what later versions bring.
 */
export async function loadConfig(input: ConfigInput): Promise<LoadedConfig> {
  const file = await findFile(input);
  const variables = valuesOfEnvironment(input.env);
  const flags = valuesOfFlags(input.flags);
  const problems = [...(file?.content.problems ?? []), ...variables.problems, ...flags.problems];
  const found = configKeys.flatMap((key) => {
    const value =
      flags.values.get(key.key) ??
      variables.values.get(key.key) ??
      file?.content.values.get(key.key) ??
      ({ value: key.default, origin: "default", from: "default" } as const);
    return [{ ...value, key, value: absolute(key, value, { input, file: file?.path }) }];
  });
  const config = parse(found, problems);
  const later = found.filter((value) => isLater(value));
  if (later.length > 0) throw notAvailable(later);
  return {
    config,
    file: file?.path ?? null,
    values: found,
    ignored: ignoredVariables(Object.keys(input.env)),
  };
}

async function findFile({
  flags,
  env,
  cwd,
}: ConfigInput): Promise<{ readonly path: string; readonly content: ConfigFile } | null> {
  const given = flags["config"] ?? env["GLASSHOUSE_CONFIG"];
  const name = typeof given === "string" && given !== "" ? given : defaultFile;
  const content = await readConfigFile(resolve(cwd, name));
  if (content !== null) return { path: resolve(cwd, name), content };
  if (name !== defaultFile)
    throw new GlasshouseError(
      "invalid-configuration",
      `There is no configuration file ${resolve(cwd, name)}.`,
    );
  return null;
}

function absolute(
  key: ConfigKey,
  { value, from }: FoundValue,
  base: { readonly input: ConfigInput; readonly file: string | undefined },
): unknown {
  // A key may be in Vault, in place of a file.
  if (!key.isPath || typeof value !== "string" || value.startsWith("vault:")) return value;
  const directory =
    from === "file" && base.file !== undefined ? dirname(base.file) : base.input.cwd;
  return resolve(directory, value);
}

type Found = LoadedConfig["values"];

function parse(found: Found, before: readonly ErrorDetail[]): Config {
  // Parsed once: a parser made for speed would cost more than it saves.
  const parsed = configSchema.safeParse(nested(found), { jitless: true });
  const after = parsed.success ? [] : parsed.error.issues.map((issue) => detailOf(found, issue));
  const problems = [...before, ...after];
  if (parsed.success && problems.length === 0) return parsed.data;
  throw new GlasshouseError(
    "invalid-configuration",
    problems.length === 1
      ? `The configuration has a mistake${placeOf(problems[0])}: ${problems[0]?.message}.`
      : `The configuration has ${problems.length} mistakes.`,
    { details: problems },
  );
}

function placeOf(problem: ErrorDetail | undefined): string {
  return problem?.place === undefined ? "" : ` at ${problem.place}`;
}

/** Values of defaults stay away, so that the schema fills them in. */
function nested(found: Found): object {
  const root: Record<string, unknown> = {};
  for (const { key, value, from } of found) {
    if (from === "default" && !key.isPath) continue;
    let at = root;
    for (const part of key.path.slice(0, -1)) at = section(at, part);
    const last = key.path.at(-1);
    if (last !== undefined && value !== undefined) at[last] = value;
  }
  return root;
}

function section(parent: Record<string, unknown>, name: string): Record<string, unknown> {
  const existing = parent[name];
  if (isRecord(existing)) return existing;
  const made: Record<string, unknown> = {};
  parent[name] = made;
  return made;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function detailOf(found: Found, issue: z.core.$ZodIssue): ErrorDetail {
  const path = issue.path.map(String);
  const value = found.find(({ key }) => key.path.every((part, at) => path[at] === part));
  const message = `${path.join(".")} ${issue.message}`;
  return value === undefined ? { message } : { message, place: value.origin };
}

function isLater({ key, from }: Found[number]): boolean {
  if (from === "default") return false;
  return key.isLater;
}

function notAvailable(later: Found): GlasshouseError {
  const names = later.map(({ key }) => key.key).join(", ");
  return new GlasshouseError(
    "not-available",
    `${names} ${later.length === 1 ? "is" : "are"} not available in this version.`,
    {
      details: later.map(({ key, origin }) => ({
        message: `${key.key} is not available in this version`,
        place: origin,
      })),
    },
  );
}
