import { resolve } from "node:path";
import type { Command } from "commander";
import { leaf, type Context } from "./call.ts";
import { configOf, configOptions } from "./config-options.ts";
import { printData } from "./output.ts";

export function addCommand(program: Command, context: Context): void {
  leaf(
    { parent: program.command("restore"), context },
    {
      usage: "restore",
      self: true,
      summary: "put a backup in place",
      description:
        "Put a backup where the data directory is to be. Nothing may be there: stop the server and move the old directory away first.",
      examples: [
        "restore /backups/2026-01-31",
        "restore /backups/today --data /var/lib/glasshouse",
      ],
      options: configOptions(),
      local: true,
    },
    async (call) => {
      const { restoreBackup } = await import("../app/backup.ts");
      const { config } = await configOf(call);
      const source = resolve(call.terminal.cwd, call.args[0] ?? "");
      const summary = await restoreBackup(config, source);
      if (printData(call, summary)) return;
      call.terminal.out(`${config.data} is restored from ${source} (${summary.blobs} blobs)\n`);
      if (!summary.hasKey)
        call.terminal.err("What wraps its key was not in the backup: name it with security.key.\n");
    },
  ).argument("<directory>", "where the backup is");
}
