import type { Command } from "commander";
import { leaf, option, type Context } from "./call.ts";

export function addCommand(program: Command, context: Context): void {
  const parent = program
    .command("bus")
    .summary("look at the message bus, move dead letters back")
    .description("Look at the message bus, move dead letters back.");
  const at = { parent, context };
  leaf(
    at,
    {
      usage: "show",
      summary: "say how the bus is and what waits in it",
      examples: ["bus show", "bus show -o json"],
    },
    async (call) => (await import("./bus-commands.ts")).show(call),
  );
  leaf(
    at,
    {
      usage: "redrive",
      summary: "move dead letters back to the commands",
      description:
        "Move dead letters back to the commands, once what they died of is mended. What fails again becomes a dead letter again; a command that was taken already is not taken twice.",
      examples: [
        "bus redrive --dry-run # count them by reason",
        "bus redrive --reason too-many",
        "bus redrive --limit 10",
      ],
      options: [
        option("--reason <reason>", "only those that are dead for this reason"),
        option("--limit <n>", "at most so many (1000 when left out)"),
        option("--dry-run", "count them and move nothing"),
      ],
    },
    async (call) => (await import("./bus-commands.ts")).redrive(call),
  );
}
