import type { Command } from "commander";
import { leaf, type Context } from "./call.ts";
import { limitOption } from "./options.ts";

export function addCommand(program: Command, context: Context): void {
  leaf(
    { parent: program.command("search"), context },
    {
      usage: "search",
      self: true,
      summary: "find environments, resources, what was observed, and templates",
      description: `Find environments, resources, what was observed in the real world, and templates.

A query has words (all of them must be there), "phrases", beginnings (web*), OR, parentheses, -exclusions, and fields:
kind: name: environment: template: group: status: type: tag:. Put it into quotes where your shell would read it.`,
      examples: [
        "search web",
        "search aws_instance environment:shop",
        "search 'kind:observed type:consul_key db*'",
        "search 'status:drifted -environment:test-*'",
        `search '"order service" OR tag:team=core' -o json`,
      ],
      options: [limitOption],
    },
    async (call) => (await import("./search-command.ts")).search(call),
  ).argument("<query...>", "what to search for");
}
