import { Option, type Command } from "commander";
import { UsageError } from "./failure.ts";
import type { Api } from "./api.ts";
import type { Terminal } from "./terminal.ts";

/** What a program's run has at hand. */
export interface Context {
  readonly terminal: Terminal;
  /** The exit code, when it is not 0. */
  exit(code: number): void;
}

/** One command with what was given to it. */
export interface Call {
  readonly args: readonly string[];
  readonly options: Options;
  readonly terminal: Terminal;
  readonly format: OutputFormat;
  /** The client of the server that the options and the environment name. */
  api(): Promise<Api>;
}

export const outputFormats = ["table", "wide", "json", "yaml", "name"] as const;
export type OutputFormat = (typeof outputFormats)[number];

export const defaultServer = "http://127.0.0.1:8080";

/** Options by their name in camel case. */
export class Options {
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = new Map(Object.entries(values));
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return typeof value === "string" ? value : undefined;
  }

  flag(name: string): boolean {
    return this.#values.get(name) === true;
  }

  /** For an option with a `--no-` form: undefined when neither was given. */
  choice(name: string): boolean | undefined {
    const value = this.#values.get(name);
    return typeof value === "boolean" ? value : undefined;
  }

  list(name: string): readonly string[] {
    const value = this.#values.get(name);
    return Array.isArray(value) ? value.map(String) : [];
  }

  /** All that were given. */
  entries(): readonly (readonly [string, unknown])[] {
    return [...this.#values];
  }
}

export interface Leaf {
  /** With its arguments: `create <name>`. */
  readonly usage: string;
  readonly summary: string;
  readonly description?: string;
  /** Whole commands, without `glasshouse`; each may have a comment after ` # `. */
  readonly examples: readonly string[];
  readonly options?: readonly Option[];
  /** Takes no `--server`. */
  readonly local?: true;
  /** Takes no `-o`. */
  readonly plain?: true;
  /** The command is the parent itself. */
  readonly self?: true;
  /** Only reads the configuration's own flags: nothing is parsed here. */
  readonly hidden?: true;
}

export type Handler = (call: Call) => Promise<number | void>;

/** Adds a command that does something. The handler's result is the exit code. */
export function leaf(
  { parent, context }: { readonly parent: Command; readonly context: Context },
  about: Leaf,
  handler: Handler,
): Command {
  const command = about.self === true ? parent : parent.command(about.usage);
  command.summary(about.summary).description(about.description ?? sentence(about.summary));
  for (const one of about.options ?? []) command.addOption(one);
  if (about.plain !== true) command.addOption(outputOption());
  if (about.local !== true) command.addOption(serverOption());
  command.addHelpText("after", `\n${exampleText(about.examples)}`);
  command.action(async () => {
    const options = new Options(command.optsWithGlobals());
    const call = newCall({ command, options, context });
    context.exit((await handler(call)) ?? 0);
  });
  return command;
}

function newCall(of: {
  readonly command: Command;
  readonly options: Options;
  readonly context: Context;
}): Call {
  const { options, context } = of;
  const asked = options.text("output") ?? "table";
  const format = outputFormats.find((known) => known === asked);
  if (format === undefined)
    throw new UsageError(`-o takes ${outputFormats.join(", ")}, not "${asked}".`);
  return {
    args: of.command.args,
    options,
    terminal: context.terminal,
    format,
    api: async () => {
      const [{ Api }, { clientTrust }] = await Promise.all([
        import("./api.ts"),
        import("../app/client-trust.ts"),
      ]);
      return new Api({
        server:
          options.text("server") ?? context.terminal.env["GLASSHOUSE_SERVER"] ?? defaultServer,
        token: context.terminal.env["GLASSHOUSE_TOKEN"],
        trust: clientTrust(context.terminal.env),
        say: (line) => context.terminal.err(`${line}\n`),
      });
    },
  };
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

function exampleText(examples: readonly string[]): string {
  return ["Examples:", ...examples.map((example) => `  glasshouse ${example}`)].join("\n");
}

export function option(flags: string, description: string): Option {
  return new Option(flags, description);
}

/** An option that may be given several times. */
export function listOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((value: string, before: unknown) => [
    ...(Array.isArray(before) ? before.map(String) : []),
    value,
  ]);
}

function outputOption(): Option {
  return new Option("-o, --output <format>", `how to print: ${outputFormats.join(", ")}`);
}

function serverOption(): Option {
  return new Option(
    "--server <url>",
    `the server to talk to (or GLASSHOUSE_SERVER; ${defaultServer} when neither says); for https, GLASSHOUSE_CA names the file of its authority`,
  );
}
