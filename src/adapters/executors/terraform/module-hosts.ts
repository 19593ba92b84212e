import { homedir } from "node:os";
import { join } from "node:path";
import { GlasshouseError } from "../../../domain/errors.ts";
import { isJsonObject, type Json } from "../../../lib/json.ts";
import { readIfThere } from "./directory.ts";

/** What the operator grants for modules and providers that not everybody may have. */
export interface ModuleHosts {
  /** For git over https. */
  readonly logins: readonly {
    readonly host: string;
    readonly username: string;
    readonly password: string;
  }[];
  /** For registries. */
  readonly tokens: readonly { readonly host: string; readonly token: string }[];
}

export const noModuleHosts: ModuleHosts = { logins: [], tokens: [] };

/** What one `init` is given beside what every child is: no secret is in its environment, in an argument or in a file. */
export interface HostAccess {
  readonly env: Readonly<Record<string, string>>;
  readonly descriptors: readonly { readonly fd: 4 | 5; readonly content: string }[];
}

const loginsFd = 4;
const settingsFd = 5;

/**
 * Logins as git's helper reads them from a descriptor, and tokens as Terraform's own CLI configuration, read from another one: with
 * what the configuration that counted until now says. Errors: `step-failed` for one that cannot be read.
 */
export async function hostAccess(
  { logins, tokens }: ModuleHosts,
  of: { readonly product: string; readonly env: Readonly<Record<string, string>> },
): Promise<HostAccess> {
  const settings = tokens.length === 0 ? null : settingsWith(tokens, await ownSettings(of));
  return {
    env: {
      ...(logins.length === 0 ? {} : gitSettings(logins)),
      ...(settings === null ? {} : { TF_CLI_CONFIG_FILE: `/dev/fd/${settingsFd}` }),
    },
    descriptors: [
      ...(logins.length === 0 ? [] : [{ fd: loginsFd, content: wordsOf(logins) } as const]),
      ...(settings === null ? [] : [{ fd: settingsFd, content: settings } as const]),
    ],
  };
}

/** What must not be shown. */
export function secretsOfHosts({ logins, tokens }: ModuleHosts): readonly string[] {
  return [...logins.map(({ password }) => password), ...tokens.map(({ token }) => token)];
}

/** A line for each word of a login, behind the number of its host: https://git-scm.com/docs/git-credential#IOFMT. */
function wordsOf(logins: ModuleHosts["logins"]): string {
  return logins
    .map(({ username, password }, at) => `${at} username=${username}\n${at} password=${password}\n`)
    .join("");
}

/** A helper for each host, in the place of any of the machine: one that stores what it is told would keep it. */
function gitSettings(logins: ModuleHosts["logins"]): Readonly<Record<string, string>> {
  const pairs = logins.flatMap(({ host }, at) => {
    const key = `credential.https://${host}.helper`;
    const words = `!f() { test "$1" = get && sed -n 's/^${at} //p' /dev/fd/${loginsFd}; }; f`;
    return [
      [key, ""],
      [key, words],
    ] as const;
  });
  return {
    GIT_TERMINAL_PROMPT: "0",
    GIT_CONFIG_COUNT: String(pairs.length),
    ...Object.fromEntries(
      pairs.flatMap(([key, value], at) => [
        [`GIT_CONFIG_KEY_${at}`, key],
        [`GIT_CONFIG_VALUE_${at}`, value],
      ]),
    ),
  };
}

interface OwnSettings {
  readonly path: string;
  readonly text: string;
}

/** The CLI configuration that would count, empty when there is none. */
async function ownSettings({
  product,
  env,
}: {
  readonly product: string;
  readonly env: Readonly<Record<string, string>>;
}): Promise<OwnSettings> {
  const home = env["HOME"] ?? homedir();
  const names = product === "OpenTofu" ? [".tofurc", ".terraformrc"] : [".terraformrc"];
  const said = env["TF_CLI_CONFIG_FILE"];
  const paths = said === undefined ? names.map((name) => join(home, name)) : [said];
  for (const path of paths) {
    const bytes = await readIfThere(path);
    if (bytes !== null) return { path, text: bytes.toString("utf8") };
  }
  return { path: paths[0] ?? "", text: "" };
}

/** https://developer.hashicorp.com/terraform/cli/config/config-file#credentials-1, in HCL or in JSON as the file is. */
function settingsWith(tokens: ModuleHosts["tokens"], { path, text }: OwnSettings): string {
  if (!text.trimStart().startsWith("{")) {
    const blocks = tokens.map(
      ({ host, token }) =>
        `credentials ${JSON.stringify(host)} {\n  token = ${JSON.stringify(token)}\n}\n`,
    );
    return [text, ...blocks].join("\n");
  }
  const before = parsed(text, path);
  const known = isJsonObject(before["credentials"]) ? before["credentials"] : {};
  const added = Object.fromEntries(tokens.map(({ host, token }) => [host, { token }]));
  return JSON.stringify({ ...before, credentials: { ...known, ...added } });
}

function parsed(text: string, path: string): Readonly<Record<string, Json>> {
  try {
    const value: Json = JSON.parse(text);
    if (isJsonObject(value)) return value;
  } catch (cause) {
    throw unreadable(path, cause);
  }
  throw unreadable(path);
}

function unreadable(path: string, cause?: unknown): GlasshouseError {
  return new GlasshouseError(
    "step-failed",
    `The configuration of the Terraform CLI at ${path} cannot be read, so the tokens of executors.terraform.hosts cannot be added to it: mend the file, or take it away.`,
    { cause },
  );
}
