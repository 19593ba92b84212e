import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parse } from "yaml";
import type { ParameterView } from "../contract/rest.ts";
import { isJsonObject, type Json } from "../lib/json.ts";
import { UsageError } from "./failure.ts";
import type { Call } from "./call.ts";

/** What is known of a parameter that the command line names. */
export type KnownParameters = Readonly<Record<string, Pick<ParameterView, "type" | "secret">>>;

/**
 * Values of `--params-file` and, over them, of each `--param`. `k=@file` reads a file, `k=env:NAME` a variable, `k=@@x` means
 * the text `@x`; texts are converted to the type that the template declares.
 */
export async function readParameters(
  call: Pick<Call, "options" | "terminal">,
  known: KnownParameters,
): Promise<Record<string, Json>> {
  const values: Record<string, Json> = {};
  const file = call.options.text("paramsFile");
  if (file !== undefined) Object.assign(values, await readParamsFile(call, file));
  for (const text of call.options.list("param")) {
    const { name, value } = await readParameter(call, text, known);
    values[name] = value;
  }
  return values;
}

async function readParamsFile(
  { terminal }: Pick<Call, "terminal">,
  file: string,
): Promise<Record<string, Json>> {
  const text = file === "-" ? await terminal.readInput() : await readText(terminal.cwd, file);
  const value: unknown = parsed(text, `--params-file ${file}`);
  if (isJsonObject(value)) return { ...value };
  throw new UsageError(`--params-file ${file}: it must be a mapping of parameters to values.`);
}

function parsed(text: string, what: string): unknown {
  try {
    const value: unknown = parse(text, { maxAliasCount: 0 });
    return value;
  } catch (error) {
    const [reason = ""] = (error instanceof Error ? error.message : String(error)).split("\n");
    throw new UsageError(`${what}: ${reason.replace(/ at (line \d+, column \d+):$/u, " ($1)")}`);
  }
}

async function readText(cwd: string, path: string): Promise<string> {
  try {
    return await readFile(resolve(cwd, path), "utf8");
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

async function readParameter(
  { terminal }: Pick<Call, "terminal">,
  text: string,
  known: KnownParameters,
): Promise<{ readonly name: string; readonly value: Json }> {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError(`--param ${text}: it must be written as name=value.`);
  const name = text.slice(0, at);
  const given = text.slice(at + 1);
  const parameter = known[name] ?? known[name.slice(name.indexOf(".") + 1)];
  if (parameter?.secret === true && !isIndirect(given))
    terminal.err(
      `hint: ${name} is a secret, and a command line is seen by others: use ${name}=@file, ${name}=env:NAME or --params-file -\n`,
    );
  const value = await lookUp(terminal, name, given);
  return { name, value: convertParameter(name, value, parameter?.type ?? "string") };
}

function isIndirect(text: string): boolean {
  return text.startsWith("env:") || (text.startsWith("@") && !text.startsWith("@@"));
}

async function lookUp(terminal: Call["terminal"], name: string, text: string): Promise<string> {
  if (text.startsWith("@@")) return text.slice(1);
  if (text.startsWith("@"))
    return (await readText(terminal.cwd, text.slice(1))).replace(/\r?\n$/u, "");
  if (!text.startsWith("env:")) return text;
  const value = terminal.env[text.slice(4)];
  if (value !== undefined) return value;
  throw new UsageError(`--param ${name}: there is no environment variable ${text.slice(4)}.`);
}

/** The value that a text means for a parameter of this type. */
export function convertParameter(name: string, text: string, type: ParameterView["type"]): Json {
  const wrong = (what: string): never => {
    throw new UsageError(`--param ${name}: it must be ${what}, not "${text}".`);
  };
  switch (type) {
    case "string":
      return text;
    case "boolean":
      return text === "true" || text === "false" ? text === "true" : wrong("true or false");
    case "integer":
      return /^[+-]?\d+$/u.test(text) && Number.isSafeInteger(Number(text))
        ? Number(text)
        : wrong("a whole number");
    case "number":
      return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : wrong("a number");
    case "list": {
      const value: unknown = parsed(text, `--param ${name}`);
      return isJsonList(value) ? value : wrong('a list such as [a, b] or ["a","b"]');
    }
    case "map": {
      const value: unknown = parsed(text, `--param ${name}`);
      return isJsonObject(value) ? value : wrong("a mapping such as {a: 1}");
    }
  }
}

function isJsonList(value: unknown): value is readonly Json[] {
  return Array.isArray(value);
}

/** `k=v` of tags. */
export function readTags(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf("=");
      if (at < 1) throw new UsageError(`--tag ${text}: it must be written as name=value.`);
      return [text.slice(0, at), text.slice(at + 1)] as const;
    }),
  );
}
