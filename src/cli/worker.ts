import type { Command } from "commander";
import { leaf, type Context } from "./call.ts";

export function addCommand(program: Command, context: Context): void {
  const parent = program
    .command("worker")
    .summary("list the workers and what they offer")
    .description("List the workers and what they offer.");
  leaf(
    { parent, context },
    {
      usage: "list",
      summary: "list the workers, with their labels and what they work on",
      description:
        "List the workers: the processes that work on steps. A group whose template says runsOn goes to one that offers all of its labels.",
      examples: ["worker list", "worker list -o wide"],
    },
    async (call) => (await import("./worker-commands.ts")).list(call),
  );
}
