import { Option } from "commander";
import { configKeys, type ConfigKey } from "../app/config-keys.ts";
import type { LoadedConfig } from "../app/config.ts";
import type { Call } from "./call.ts";

/** `--config` and a flag for every key of the configuration. */
export function configOptions(): readonly Option[] {
  const file = new Option(
    "--config <file>",
    "the configuration file (or GLASSHOUSE_CONFIG; glasshouse.yaml when it is there)",
  );
  return [file, ...configKeys.filter((key) => !key.isFileOnly).map((key) => optionOf(key))];
}

function optionOf(key: ConfigKey): Option {
  const many = key.kind === "list" || key.kind === "map";
  const value = {
    text: "value",
    number: "number",
    boolean: "true|false",
    list: "a,b",
    map: "name=value",
  };
  const option = new Option(`${key.flag} <${value[key.kind]}>`, key.description);
  if (key.isLater) option.hideHelp();
  if (!many) return option;
  return option.argParser((text: string, before: unknown) => [
    ...(Array.isArray(before) ? before.map(String) : []),
    text,
  ]);
}

/** The configuration as file, variables and the flags of this command say. */
export async function configOf(call: Call): Promise<LoadedConfig> {
  const { loadConfig } = await import("../app/config.ts");
  const flags: Record<string, string | readonly string[]> = {};
  for (const [name, value] of call.options.entries()) {
    const flag = name.replaceAll(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`);
    if (typeof value === "string") flags[flag] = value;
    else if (Array.isArray(value)) flags[flag] = value.map(String);
  }
  return loadConfig({ flags, env: call.terminal.env, cwd: call.terminal.cwd });
}
