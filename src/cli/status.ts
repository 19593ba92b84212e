import type { Command } from "commander";
import { leaf, type Context } from "./call.ts";

export function addCommand(program: Command, context: Context): void {
  leaf(
    { parent: program.command("status"), context },
    {
      usage: "status",
      self: true,
      summary: "say how the server is and what it has",
      examples: ["status", "status -o json", "status --server http://127.0.0.1:9090"],
    },
    async (call) => (await import("./status-command.ts")).status(call),
  );
}
