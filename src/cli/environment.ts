import type { Command } from "commander";
import type { Context } from "./call.ts";
import { addChanges } from "./environment-change.ts";
import { addLooks } from "./environment-look.ts";
import { addReads } from "./environment-read.ts";

export function addCommand(program: Command, context: Context): void {
  const parent = program
    .command("environment")
    .alias("env")
    .summary("create, change, check and destroy environments")
    .description("Create, change, check and destroy environments.");
  const at = { parent, context };
  addChanges(at);
  addReads(at);
  addLooks(at);
}
