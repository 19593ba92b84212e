import { resolve } from "node:path";
import type { Command } from "commander";
import { leaf, type Context } from "./call.ts";
import { configOf, configOptions } from "./config-options.ts";
import { printData } from "./output.ts";

export function addCommand(program: Command, context: Context): void {
  leaf(
    { parent: program.command("backup"), context },
    {
      usage: "backup",
      self: true,
      summary: "copy the data directory, also while the server runs",
      description:
        "Write a consistent copy of the data directory into a new directory, also while a server works on it. Whoever has the copy can open its secrets, unless security.key lies elsewhere.",
      examples: ["backup /backups/2026-01-31", "backup /backups/today --data /var/lib/glasshouse"],
      options: configOptions(),
      local: true,
    },
    async (call) => {
      const { writeBackup } = await import("../app/backup.ts");
      const { config } = await configOf(call);
      const target = resolve(call.terminal.cwd, call.args[0] ?? "");
      const summary = await writeBackup(config, target, new Date());
      if (printData(call, summary)) return;
      call.terminal.out(`${config.data} is backed up to ${target} (${summary.blobs} blobs)\n`);
      if (!summary.hasKey)
        call.terminal.err(
          `What wraps its key, ${config.security.key ?? ""}, is not in it: keep that by other means.\n`,
        );
    },
  ).argument("<directory>", "a new directory");
}
