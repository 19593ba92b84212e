import { readFile } from "node:fs/promises";
import { GlasshouseError } from "../domain/errors.ts";
import type { ConfigFile } from "./config-yaml.ts";

const largestFileBytes = 1024 * 1024;

/**
 * Reads a configuration file. Null when there is none. Unknown keys are problems with their place and the nearest known
 * key. Errors: `invalid-configuration` when it cannot be read.
 */
export async function readConfigFile(path: string): Promise<ConfigFile | null> {
  const text = await readText(path);
  if (text === null) return null;
  // Most servers are told everything by flags and variables and need no YAML.
  const { parseConfigFile } = await import("./config-yaml.ts");
  return parseConfigFile(path, text);
}

async function readText(path: string): Promise<string | null> {
  try {
    const text = await readFile(path, "utf8");
    if (text.length <= largestFileBytes) return text;
    throw new Error(`it has more than ${largestFileBytes} bytes`);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return null;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new GlasshouseError(
      "invalid-configuration",
      `The configuration file ${path} cannot be read: ${reason}.`,
      { cause },
    );
  }
}
