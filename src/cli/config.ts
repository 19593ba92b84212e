import type { Command } from "commander";
import type { ConfigRow } from "../app/config-show.ts";
import { leaf, type Call, type Context } from "./call.ts";
import { configOf, configOptions } from "./config-options.ts";
import { oneLine, printData, printList } from "./output.ts";
import type { Column } from "./table.ts";

export function addCommand(program: Command, context: Context): void {
  const parent = program
    .command("config")
    .summary("print the configuration and where each value comes from")
    .description("Print the configuration and where each value comes from.");
  leaf(
    { parent, context },
    {
      usage: "show",
      summary: "print every value and where it comes from; secrets are masked",
      examples: [
        "config show",
        "config show --config production.yaml -o yaml",
        "config show -o wide",
      ],
      options: configOptions(),
      local: true,
    },
    show,
  );
}

const columns: readonly Column<ConfigRow>[] = [
  { title: "KEY", value: ({ key }) => key },
  { title: "VALUE", value: ({ value }) => (value === null ? "-" : oneLine(value)) },
  {
    title: "FROM",
    value: ({ origin }) => origin,
    style: ({ origin }) => (origin === "default" ? "dim" : "cyan"),
  },
  { title: "WHAT IT IS", value: ({ description }) => description, wide: true },
];

async function show(call: Call): Promise<void> {
  const loaded = await configOf(call);
  const { configRows } = await import("../app/config-show.ts");
  const rows = configRows(loaded);
  const data = { file: loaded.file, values: rows, ignored: loaded.ignored };
  if (!printData(call, data)) printList(call, rows, { columns, name: ({ key }) => key, empty: "" });
  if (loaded.ignored.length > 0)
    call.terminal.err(`Ignored, as no key has this name: ${loaded.ignored.join(", ")}\n`);
}
