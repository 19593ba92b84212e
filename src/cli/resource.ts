import type { Command } from "commander";
import { leaf, option, type Context } from "./call.ts";
import { limitOption, queryOption } from "./options.ts";

export function addCommand(program: Command, context: Context): void {
  const parent = program
    .command("resource")
    .summary("list the resources of environments")
    .description("List the resources of environments.");
  const at = { parent, context };
  leaf(
    at,
    {
      usage: "list [environment]",
      summary: "list resources, of all environments or one",
      description:
        "List resources, of all environments or one. With an environment, -o wide also shows what was observed in the real world.",
      examples: [
        "resource list",
        "resource list shop",
        "resource list shop -o wide",
        "resource list -q 'group:network -status:present'",
      ],
      options: [
        option("--environment <name>", "the same as the argument"),
        queryOption,
        limitOption,
      ],
    },
    async (call) => (await import("./resource-commands.ts")).list(call),
  );
  leaf(
    at,
    {
      usage: "show <resource>",
      summary: "show a resource, and what was observed of its group",
      examples: ["resource show res_01…"],
    },
    async (call) => (await import("./resource-commands.ts")).show(call),
  );
}
