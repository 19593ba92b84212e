import { configKeys, type ConfigKey } from "../src/app/config-keys.ts";

/** The text of docs/configuration.md, made from the schema of the configuration; `npm run generate` writes it. */
export function configurationPage(): string {
  const now = configKeys.filter((key) => !key.isLater);
  const later = configKeys.filter((key) => key.isLater);
  return [
    ...introduction,
    "",
    "## Keys",
    "",
    "| key | default | what it says |",
    "| --- | --- | --- |",
    ...now.map((key) => `| \`${key.key}\` | ${defaultOf(key)} | ${cell(describe(key))} |`),
    "",
    "## Variables and flags",
    "",
    "| key | variable | flag |",
    "| --- | --- | --- |",
    ...now.map((key) =>
      key.isFileOnly
        ? `| \`${key.key}\` | only in the file | |`
        : `| \`${key.key}\` | \`${key.variable}\` | \`${key.flag}\` |`,
    ),
    "",
    "## Not in this version",
    "",
    `These keys are known and refused with "not available in this version": ${later.map(({ key }) => `\`${key}\``).join(", ")}.`,
    "",
  ].join("\n");
}

const introduction = [
  "# Configuration",
  "",
  "This page is made from the schema of the configuration by `npm run generate`.",
  "",
  "The server needs no configuration. What is said is looked up in this order, the last one winning: defaults, a YAML file",
  "(`--config FILE` or `GLASSHOUSE_CONFIG`; `glasshouse.yaml` of the current folder when it is there), environment variables,",
  "flags. `glasshouse config show` prints every value and where it came from, with secrets masked.",
  "",
  "An unknown key of the file and an unknown flag are refused, with the nearest known one. Of the variables that begin with",
  "`GLASSHOUSE_` only those below are read; others are ignored, and `glasshouse doctor` lists them.",
  "",
  "```yaml",
  "listen: 127.0.0.1:8080",
  "data: /var/lib/glasshouse # a relative path in the file is relative to the file",
  "executors:",
  "  terraform:",
  "    env: { ARM_CLIENT_SECRET: env:ARM_CLIENT_SECRET }",
  "    templates:",
  "      web-shop: { env: { ARM_SUBSCRIPTION_ID: file:/etc/glasshouse/shop-subscription } }",
  "retention: { logs: 14d }",
  "```",
  "",
  "In variables and flags a list is written with commas, a map as `NAME=value`, several with commas or as several flags.",
  "Values of `env` may refer to others: `env:NAME` is a variable of the server, `file:PATH` the content of a file. They are",
  "looked up once, at the start of the server.",
];

function describe(key: ConfigKey): string {
  return key.kind === "text" ? key.description : `${key.description} (${key.kind})`;
}

function defaultOf({ default: value }: ConfigKey): string {
  if (value === undefined) return "";
  return `\`${typeof value === "string" ? value : JSON.stringify(value)}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
