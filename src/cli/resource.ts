import type { Command } from "commander";
import { leaf, option, type Context } from "./call.ts";
import { limitOption } from "./options.ts";

export function addCommand(program: Command, context: Context): void {
  const parent = program
    .command("resource")
    .summary("list the resources of environments")
    .description("List the resources of environments.");
  const at = { parent, context };
  leaf(
    at,
    {
      usage: "list",
      summary: "list resources, of all environments or one",
      examples: ["resource list", "resource list --environment shop -o wide"],
      options: [option("--environment <name>", "only of this environment"), limitOption],
    },
    async (call) => (await import("./resource-commands.ts")).list(call),
  );
  leaf(
    at,
    { usage: "show <resource>", summary: "show a resource", examples: ["resource show res_01…"] },
    async (call) => (await import("./resource-commands.ts")).show(call),
  );
}
