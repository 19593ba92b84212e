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
  const short = Object.entries(shortFlags).map(([flag, { value, description }]) =>
    new Option(`--${flag} <${value}>`, description).hideHelp(),
  );
  return [
    file,
    ...short,
    ...configKeys.filter((key) => !key.isFileOnly).map((key) => optionOf(key)),
  ];
}

/** Flags that are known under a shorter name than their key's. */
const shortFlags: Readonly<
  Record<string, { readonly flag: string; readonly value: string; readonly description: string }>
> = {
  "primary-cluster-name": {
    flag: "cluster-primary-cluster-name",
    value: "name",
    description: "the primary cluster, for a server of another one",
  },
  location: { flag: "cluster-location", value: "place", description: "where this cluster is" },
};

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
    const given = name.replaceAll(/[A-Z]/gu, (letter) => `-${letter.toLowerCase()}`);
    const flag = shortFlags[given]?.flag ?? given;
    if (typeof value === "string") flags[flag] = value;
    else if (Array.isArray(value)) flags[flag] = value.map(String);
  }
  return loadConfig({ flags, env: call.terminal.env, cwd: call.terminal.cwd });
}
