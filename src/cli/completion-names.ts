import { clientTrust } from "../app/client-trust.ts";
import { secureFetch } from "../app/secure-fetch.ts";
import { defaultServer, outputFormats } from "./call.ts";
import type { Terminal } from "./terminal.ts";

/** Values that may stand for an argument or an option. */
export interface CompletionNames {
  /** By the argument's name. */
  of(argument: string): readonly string[];
  /** By the option's long name. */
  ofOption(option: string): readonly string[];
}

const timeoutMs = 1_500;

/** Asks the server for the names that the words before the cursor call for. Without a server there are none. */
export async function completionNames(
  words: readonly string[],
  terminal: Terminal,
): Promise<CompletionNames> {
  const [group = ""] = words;
  const environments = /^(?:env|environment|run|resource)$/u.test(group)
    ? await namesAt(terminal, "environments?limit=200", (item) => item["name"])
    : [];
  const templates = /^(?:env|environment|template)$/u.test(group)
    ? await namesAt(
        terminal,
        "templates?limit=200",
        ({ name, version }) => `${String(name)}@${String(version)}`,
      )
    : [];
  const runs = group === "run" ? await runsOf(terminal, environments) : [];
  const bare = [...new Set(templates.map((template) => template.split("@")[0] ?? ""))];
  const byArgument = new Map<string, readonly string[]>([
    ["name", group === "template" ? bare : environments],
    ["environment", environments],
    ["template", [...bare, ...templates]],
    ["run", runs],
    ["shell", ["bash", "zsh", "fish", "powershell"]],
  ]);
  const byOption = new Map<string, readonly string[]>([
    ["template", [...bare, ...templates]],
    ["environment", environments],
    ["output", outputFormats],
    ["deferred", ["ask", "safe", "any"]],
    ["telemetry-level", ["debug", "info", "warn", "error", "silent"]],
    ["telemetry-format", ["auto", "json", "pretty"]],
  ]);
  return {
    of: (argument) => byArgument.get(argument) ?? [],
    ofOption: (option) => byOption.get(option) ?? [],
  };
}

async function runsOf(
  terminal: Terminal,
  environments: readonly string[],
): Promise<readonly string[]> {
  const lists = await Promise.all(
    environments
      .slice(0, 10)
      .map((name) =>
        namesAt(
          terminal,
          `environments/${encodeURIComponent(name)}/runs?limit=10`,
          (run) => run["id"],
        ),
      ),
  );
  return lists.flat();
}

async function namesAt(
  terminal: Terminal,
  path: string,
  nameOf: (item: Readonly<Record<string, unknown>>) => unknown,
): Promise<readonly string[]> {
  try {
    const server = terminal.env["GLASSHOUSE_SERVER"] ?? defaultServer;
    const call = secureFetch(clientTrust(terminal.env));
    const response = await call(new URL(`/api/v1/${path}`, server), {
      signal: AbortSignal.timeout(timeoutMs),
    });
    const body: unknown = await response.json();
    const items: unknown = isRecord(body) ? body["items"] : [];
    if (!Array.isArray(items)) return [];
    return items
      .filter((item: unknown) => isRecord(item))
      .map((item) => nameOf(item))
      .filter((name) => typeof name === "string")
      .filter((name) => /^[\w@.+-]+$/u.test(name));
  } catch {
    return [];
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
