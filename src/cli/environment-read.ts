import type { Command } from "commander";
import { routeOf, type EnvironmentView, type EventView } from "../contract/rest.ts";
import { leaf, option, type Call, type Context } from "./call.ts";
import { getEnvironment, templateOf } from "./environment-change.ts";
import { printGraph } from "./graph.ts";
import { printEnvironment, statusStyle } from "./environment-print.ts";
import { UsageError } from "./failure.ts";
import { liveEvents } from "./live.ts";
import { joined, printData, printList } from "./output.ts";
import { age, safe } from "./text.ts";
import type { Column } from "./table.ts";

export const limitOption = option("--limit <number>", "the most to print (500 when left out)");

export function addReads(at: { readonly parent: Command; readonly context: Context }): void {
  leaf(
    at,
    {
      usage: "list",
      summary: "list environments, newest first",
      examples: ["env list", "env list -o wide", "env list --status deployed-failed -o name"],
      options: [
        option("--all", "destroyed ones too"),
        option("--status <status>", "only those with this status"),
        limitOption,
      ],
    },
    list,
  );
  leaf(
    at,
    {
      usage: "show <name>",
      summary: "show an environment",
      examples: ["env show shop", "env show shop -o json"],
    },
    async (call) => {
      printEnvironment(call, await getEnvironment(await call.api(), call.args[0] ?? ""));
    },
  );
  leaf(
    at,
    {
      usage: "graph <name>",
      summary: "draw its dependency graph in layers",
      examples: ["env graph shop", "env graph shop -o json"],
    },
    async (call) => {
      const api = await call.api();
      const params = { environment: call.args[0] ?? "" };
      const graph = await api.get(routeOf("getEnvironmentGraph"), { params });
      if (!printData(call, graph)) printGraph(call, graph);
    },
  );
  leaf(
    at,
    {
      usage: "events <name>",
      summary: "list what happened to it, also live",
      examples: ["env events shop", "env events shop --follow"],
      options: [option("-f, --follow", "stay and print what comes"), limitOption],
    },
    events,
  );
}

const columns: readonly Column<EnvironmentView>[] = [
  { title: "NAME", value: ({ name }) => name },
  { title: "STATUS", value: ({ status }) => status, style: ({ status }) => statusStyle(status) },
  { title: "TEMPLATE", value: (environment) => templateOf(environment) },
  { title: "AGE", value: ({ createdAt }) => age(createdAt, Date.now()) },
  { title: "DESTRUCTION", value: ({ plannedDestructionAt }) => plannedDestructionAt ?? "-" },
  { title: "ID", value: ({ id }) => id, wide: true },
  { title: "TAGS", value: ({ tags }) => joined(tags), wide: true },
  { title: "REASON", value: ({ reason }) => reason ?? "" },
];

async function list(call: Call): Promise<void> {
  const api = await call.api();
  const { items, more } = await api.all(routeOf("listEnvironments"), {
    query: {
      status: call.options.text("status"),
      destroyed: call.options.flag("all") ? true : undefined,
    },
    limit: limitOf(call),
  });
  const empty = "There is no environment; `glasshouse env create` makes one.";
  printList(call, items, { columns, name: ({ name }) => name, empty, more });
}

export function limitOf(call: Call): number {
  const text = call.options.text("limit");
  if (text === undefined) return 500;
  if (/^[1-9]\d{0,5}$/u.test(text)) return Number(text);
  throw new UsageError(`--limit takes a whole number from 1 on, not "${text}".`);
}

const eventColumns: readonly Column<EventView>[] = [
  { title: "TIME", value: ({ time }) => time },
  { title: "EVENT", value: ({ type }) => type },
  { title: "ABOUT", value: (event) => aboutOf(event) },
  { title: "POSITION", value: ({ position }) => String(position), wide: true },
  { title: "RUN", value: ({ runid }) => runid ?? "", wide: true },
];

function aboutOf({ data }: EventView): string {
  if (typeof data !== "object" || data === null || Array.isArray(data)) return "";
  const parts = ["group", "key", "kind", "status", "reason"].flatMap((name) => {
    const value: unknown = Reflect.get(data, name);
    return typeof value === "string" && value !== "" ? [value] : [];
  });
  return [...new Set(parts)].join("  ");
}

async function events(call: Call): Promise<number> {
  const api = await call.api();
  const environment = call.args[0] ?? "";
  const { items } = await api.all(routeOf("listEnvironmentEvents"), {
    params: { environment },
    query: { after: 0 },
    limit: limitOf(call),
  });
  if (!call.options.flag("follow")) {
    printList(call, items, { columns: eventColumns, name: ({ id }) => id, empty: "Nothing yet." });
    return 0;
  }
  const stop = new AbortController();
  call.terminal.onInterrupt(() => stop.abort());
  for (const event of items) printEvent(call, event);
  const after = items.at(-1)?.position ?? 0;
  for await (const event of liveEvents(api, { environment, after, signal: stop.signal }))
    printEvent(call, event);
  return 130;
}

/** A stream is one JSON object a line, whatever structured format was asked for. */
function printEvent(call: Call, event: EventView): void {
  const structured = call.format === "json" || call.format === "yaml";
  call.terminal.out(
    structured
      ? `${JSON.stringify(event)}\n`
      : `${event.time}  ${event.type}  ${safe(aboutOf(event))}\n`,
  );
}
