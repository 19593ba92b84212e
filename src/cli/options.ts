import type { Option } from "commander";
import { listOption, option, type Call } from "./call.ts";
import { UsageError } from "./failure.ts";

/** Options that several commands share. */

export const waitOptions: readonly Option[] = [
  option("--wait", "wait until it is done (the default on a terminal)"),
  option("--no-wait", "return as soon as it is accepted"),
  option("--watch", "the same as --wait"),
  option("--timeout <duration>", "how long to wait, such as 5m"),
];

export const parameterOptions: readonly Option[] = [
  listOption(
    "--param <name=value>",
    "a parameter; name=@file reads a file, name=env:NAME a variable",
  ),
  option("--params-file <file>", "parameters from a YAML or JSON file, - for the input"),
];

export const limitOption = option("--limit <number>", "the most to print (500 when left out)");

/** Of lists that can be searched. */
export const queryOption = option(
  "-q, --query <query>",
  "only those that fit; `glasshouse search --help` says how",
);

export function limitOf(call: Call): number {
  const text = call.options.text("limit");
  if (text === undefined) return 500;
  if (/^[1-9]\d{0,5}$/u.test(text)) return Number(text);
  throw new UsageError(`--limit takes a whole number from 1 on, not "${text}".`);
}
