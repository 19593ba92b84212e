import type { Command } from "commander";
import { leaf, type Context } from "./call.ts";
import { printData } from "./output.ts";
import { programVersion } from "./program-version.ts";

export function addCommand(program: Command, context: Context): void {
  leaf(
    { parent: program.command("version"), context },
    {
      usage: "version",
      self: true,
      summary: "print the version",
      description:
        "Print the version of this program; `glasshouse status` says that of the server.",
      examples: ["version", "version -o json"],
      local: true,
    },
    async (call) => {
      const version = await programVersion();
      const about = { name: "glasshouse", version, node: process.version };
      if (!printData(call, about)) call.terminal.out(`glasshouse ${version}\n`);
    },
  );
}
