import type { Command } from "commander";
import { leaf, listOption, option, type Context } from "./call.ts";
import { limitOption, waitOptions } from "./options.ts";

export function addCommand(program: Command, context: Context): void {
  const parent = program
    .command("run")
    .summary("follow, cancel and retry runs")
    .description("Follow, cancel and retry runs.");
  const at = { parent, context };
  leaf(
    at,
    {
      usage: "list [environment]",
      summary: "list runs, newest first",
      examples: ["run list shop", "run list -o wide"],
      options: [limitOption],
    },
    async (call) => (await import("./run-commands.ts")).list(call),
  );
  leaf(
    at,
    { usage: "show <run>", summary: "show a run and its steps", examples: ["run show run_01…"] },
    async (call) => (await import("./run-commands.ts")).show(call),
  );
  leaf(
    at,
    {
      usage: "logs <run>",
      summary: "print what its steps wrote",
      examples: ["run logs run_01…", "run logs run_01… --step database --follow"],
      options: [
        option("--step <step>", "only this step: its group, key or id"),
        option("-f, --follow", "stay until the run has ended"),
      ],
      plain: true,
    },
    async (call) => (await import("./run-logs.ts")).printLogs(call),
  );
  addControls(at);
}

function addControls(at: { readonly parent: Command; readonly context: Context }): void {
  leaf(
    at,
    {
      usage: "watch <run>",
      summary: "watch a run to its end",
      examples: ["run watch run_01…", "run watch run_01… --timeout 5m"],
      options: [option("--timeout <duration>", "how long to watch, such as 5m")],
    },
    async (call) => (await import("./run-commands.ts")).watch(call),
  );
  leaf(
    at,
    {
      usage: "cancel <run>",
      summary: "cancel a run; a second time, kill what it started",
      examples: ["run cancel run_01…"],
      options: waitOptions,
    },
    async (call) => (await import("./run-commands.ts")).ask(call, "cancelRun"),
  );
  leaf(
    at,
    {
      usage: "retry <run>",
      summary: "try again what failed or waits",
      examples: ["run retry run_01…", "run retry run_01… --accept-leak null_resource.a"],
      options: [
        listOption("--accept-leak <address>", "you have looked for it: it may be made again"),
        ...waitOptions,
      ],
    },
    async (call) => (await import("./run-commands.ts")).ask(call, "retryRun"),
  );
  leaf(
    at,
    {
      usage: "approve <run>",
      summary: "let a run that waits for approval go on",
      examples: ["run approve run_01…"],
      options: waitOptions,
    },
    async (call) => (await import("./run-commands.ts")).ask(call, "approveRun"),
  );
}
