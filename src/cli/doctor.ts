import type { Command } from "commander";
import type { Finding } from "../app/doctor.ts";
import { defaultServer, leaf, type Call, type Context } from "./call.ts";
import { configOf, configOptions } from "./config-options.ts";
import { printData } from "./output.ts";
import { pad, painter, safe, type Style } from "./text.ts";

export function addCommand(program: Command, context: Context): void {
  leaf(
    { parent: program.command("doctor"), context },
    {
      usage: "doctor",
      self: true,
      summary: "look at this machine and say what is missing",
      description:
        "Look at this machine, the configuration and the server, and give advice where something is missing. Exit code 1 when something must be mended.",
      examples: ["doctor", "doctor -o json", "doctor --data /var/lib/glasshouse"],
      options: configOptions(),
    },
    doctor,
  );
}

const looks: Readonly<Record<Finding["level"], readonly [string, Style]>> = {
  good: ["✔", "green"],
  warning: ["!", "yellow"],
  bad: ["✖", "red"],
};

async function doctor(call: Call): Promise<number> {
  const { examine, ownAddress } = await import("../app/doctor.ts");
  const loaded = await configOf(call);
  const server =
    call.options.text("server") ??
    call.terminal.env["GLASSHOUSE_SERVER"] ??
    ownAddress(loaded.config) ??
    defaultServer;
  const findings = await examine({ loaded, server, env: call.terminal.env });
  const code = findings.some(({ level }) => level === "bad") ? 1 : 0;
  if (printData(call, { findings })) return code;
  const paint = painter(call.terminal, "out");
  const width = Math.max(...findings.map(({ about }) => about.length));
  for (const { about, level, found, advice } of findings) {
    const [sign, style] = looks[level];
    call.terminal.out(`${paint(style, sign)} ${pad(about, width)}  ${safe(found)}\n`);
    if (advice !== null) call.terminal.out(`  ${pad("", width)}  ${paint("dim", safe(advice))}\n`);
  }
  return code;
}
