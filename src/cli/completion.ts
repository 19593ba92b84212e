import t from "@bomb.sh/tab";
import type { Command, Option } from "commander";
import { leaf, option, type Call, type Context } from "./call.ts";
import { UsageError } from "./failure.ts";
import { completionNames, type CompletionNames } from "./completion-names.ts";

const shells = ["bash", "zsh", "fish", "powershell"] as const;

/** The scripts that the library writes call `glasshouse complete -- <words>` at each Tab. */
export function addCommand(program: Command, context: Context): void {
  leaf(
    { parent: program.command("completion"), context },
    {
      usage: "completion",
      self: true,
      summary: "print the shell's completion script",
      description:
        "Print the completion script for bash, zsh, fish or powershell. Names of environments, templates and runs come from the server.",
      examples: [
        "completion bash > ~/.local/share/bash-completion/completions/glasshouse",
        "completion zsh > ~/.zsh/completions/_glasshouse",
        "completion fish > ~/.config/fish/completions/glasshouse.fish",
      ],
      options: [option("--shell <shell>", shells.join(", "))],
      local: true,
      plain: true,
    },
    async (call) => printScript(call),
  ).argument("[shell]", shells.join(", "));
}

function printScript(call: Call): void {
  const shell = call.args[0] ?? call.options.text("shell");
  if (!shells.some((known) => known === shell))
    throw new UsageError(`It needs a shell: ${shells.join(", ")}.`);
  call.terminal.out(`${scriptOf(shell ?? "")}\n`);
}

/**
 * The library only prints, so its words are caught on their way to the console. Its bash script makes names read-only, which
 * fails when the script is read a second time: here they are set unless they are.
 */
function scriptOf(shell: string): string {
  const lines: string[] = [];
  const { log } = console;
  // oxlint-disable-next-line no-console -- the library has no other way to give its script
  console.log = (text: string): void => void lines.push(text);
  try {
    t.setup("glasshouse", "glasshouse", shell);
  } finally {
    // oxlint-disable-next-line no-console -- as it was
    console.log = log;
  }
  return lines
    .join("\n")
    .replaceAll(/^readonly (ShellComp\w+)=(\d+)$/gmu, "[[ -n $${$1-} ]] || $1=$2");
}

/** Answers one Tab: prints what may follow the words. The server is asked for names only where one is wanted. */
export async function complete(
  words: readonly string[],
  program: Command,
  context: Context,
): Promise<void> {
  const names = await completionNames(words, context.terminal);
  for (const command of program.commands) describe(command, "", names);
  t.parse([...words]);
}

function describe(command: Command, before: string, names: CompletionNames): void {
  for (const name of [command.name(), ...command.aliases()]) {
    const path = before === "" ? name : `${before} ${name}`;
    const described = t.command(path, command.summary());
    for (const one of command.options) addOption(described, one, names);
    for (const argument of command.registeredArguments)
      described.argument(
        argument.name(),
        (add) => {
          for (const value of names.of(argument.name())) add(value, "");
        },
        argument.variadic,
      );
    for (const inner of command.commands) describe(inner, path, names);
  }
}

function addOption(
  described: ReturnType<typeof t.command>,
  one: Option,
  names: CompletionNames,
): void {
  const long = one.long?.replace(/^--/u, "");
  if (long === undefined || one.hidden) return;
  if (one.required || one.optional)
    described.option(
      long,
      one.description,
      (add) => {
        for (const value of names.ofOption(long)) add(value, "");
      },
      one.short?.replace(/^-/u, ""),
    );
  else described.option(long, one.description, one.short?.replace(/^-/u, ""));
}
