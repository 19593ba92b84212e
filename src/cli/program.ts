import { Command, CommanderError } from "commander";
import type { Context } from "./call.ts";
import { reportFailure } from "./failure.ts";
import { groups, type CommandGroup } from "./groups.ts";
import type { Terminal } from "./terminal.ts";

/** Runs one command line (without program and script) and returns the exit code. */
export async function runProgram(argv: readonly string[], terminal: Terminal): Promise<number> {
  let exitCode = 0;
  const context: Context = { terminal, exit: (code) => (exitCode = code) };
  try {
    if (argv[0] === "complete") return await answerCompletion(argv.slice(1), context);
    const program = await buildProgram(argv, context);
    await program.parseAsync([...argv], { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    return reportFailure(terminal, error);
  }
}

/** `complete -- <words>`: the shell asks what may come next. */
async function answerCompletion(argv: readonly string[], context: Context): Promise<number> {
  const words = argv[0] === "--" ? argv.slice(1) : argv;
  const { complete } = await import("./completion.ts");
  await complete(words, await buildWholeProgram(context), context);
  return 0;
}

/** The program with the one group that the command line names; of the others only name and summary. */
export async function buildProgram(argv: readonly string[], context: Context): Promise<Command> {
  const program = newProgram(context.terminal);
  const wanted = firstWord(argv);
  for (const group of groups) {
    const isWanted = wanted !== undefined && [group.name, group.alias].includes(wanted);
    if (isWanted) await addGroup(program, group, context);
    else addName(program, group);
  }
  return program;
}

/** The program with everything in it; for completion and tests. */
export async function buildWholeProgram(context: Context): Promise<Command> {
  const program = newProgram(context.terminal);
  for (const group of groups) await addGroup(program, group, context);
  return program;
}

function newProgram(terminal: Terminal): Command {
  return new Command("glasshouse")
    .description("Provisions whole environments from versioned templates.")
    .option("--server <url>", "the server to talk to (or GLASSHOUSE_SERVER)")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      getOutHelpWidth: () => Math.min(terminal.columns(), 120),
      getErrHelpWidth: () => Math.min(terminal.columns(), 120),
    })
    .showSuggestionAfterError()
    .helpCommand("help [command]", "print the help of a command")
    .addHelpText(
      "after",
      `
Examples:
  glasshouse server
  glasshouse template register templates/hello
  glasshouse env create test --template hello
  glasshouse env show test
  glasshouse env destroy test`,
    );
}

async function addGroup(program: Command, group: CommandGroup, context: Context): Promise<void> {
  const { addCommand } = await group.load();
  addCommand(program, context);
}

function addName(program: Command, { name, alias, summary }: CommandGroup): void {
  const command = program.command(name).summary(summary).description(summary);
  if (alias !== undefined) command.alias(alias);
}

function firstWord(argv: readonly string[]): string | undefined {
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? "";
    if (word === "--server") at += 1;
    else if (word === "help") return argv[at + 1];
    else if (!word.startsWith("-")) return word;
  }
  return undefined;
}
