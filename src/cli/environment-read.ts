import { routeOf, type EnvironmentView, type EventView } from "../contract/rest.ts";
import type { Call } from "./call.ts";
import { getEnvironment, templateOf } from "./environment-change.ts";
import { printGraph } from "./graph.ts";
import { printEnvironment, statusStyle } from "./environment-print.ts";
import { limitOf } from "./options.ts";
import { liveEvents } from "./live.ts";
import { joined, printData, printList } from "./output.ts";
import { plainReason } from "./run-model.ts";
import { age, moment, safe } from "./text.ts";
import type { Column } from "./table.ts";

export async function show(call: Call): Promise<void> {
  const api = await call.api();
  const environment = await getEnvironment(api, call.args[0] ?? "");
  const { activeRun } = environment;
  const isForPeople = call.format === "table" || call.format === "wide";
  const run =
    activeRun === null || !isForPeople
      ? null
      : await api.get(routeOf("getRun"), { params: { run: activeRun } });
  printEnvironment(call, environment, run);
}

export async function graph(call: Call): Promise<void> {
  const api = await call.api();
  const params = { environment: call.args[0] ?? "" };
  const found = await api.get(routeOf("getEnvironmentGraph"), { params });
  if (!printData(call, found)) printGraph(call, found);
}

const columns: readonly Column<EnvironmentView>[] = [
  { title: "NAME", value: ({ name }) => name },
  { title: "STATUS", value: ({ status }) => status, style: ({ status }) => statusStyle(status) },
  { title: "TEMPLATE", value: (environment) => templateOf(environment) },
  { title: "AGE", value: ({ createdAt }) => age(createdAt, Date.now()) },
  {
    title: "DESTRUCTION",
    value: ({ plannedDestructionAt }) => moment(plannedDestructionAt) || "-",
  },
  { title: "ID", value: ({ id }) => id, wide: true },
  { title: "TAGS", value: ({ tags }) => joined(tags), wide: true },
  { title: "REASON", value: ({ reason }) => plainReason(reason ?? "") },
];

export async function list(call: Call): Promise<void> {
  const api = await call.api();
  const { items, more } = await api.all(routeOf("listEnvironments"), {
    query: {
      status: call.options.text("status"),
      q: call.options.text("query"),
      destroyed: call.options.flag("all") ? true : undefined,
    },
    limit: limitOf(call),
  });
  const empty =
    call.options.text("query") === undefined
      ? "There is no environment; `glasshouse env create` makes one."
      : "No environment fits.";
  printList(call, items, { columns, name: ({ name }) => name, empty, more });
}

const eventColumns: readonly Column<EventView>[] = [
  { title: "TIME", value: ({ time }) => moment(time) },
  { title: "EVENT", value: ({ type }) => type },
  { title: "ABOUT", value: (event) => aboutOf(event) },
  { title: "POSITION", value: ({ position }) => String(position), wide: true },
  { title: "RUN", value: ({ runid }) => runid ?? "", wide: true },
];

function aboutOf({ data }: EventView): string {
  if (typeof data !== "object" || data === null || Array.isArray(data)) return "";
  const parts = ["group", "key", "kind", "status", "reason"].flatMap((name) => {
    const value: unknown = Reflect.get(data, name);
    return typeof value === "string" && value !== "" ? [plainReason(value)] : [];
  });
  return [...new Set(parts)].join("  ");
}

export async function events(call: Call): Promise<number> {
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
      : `${moment(event.time)}  ${event.type}  ${safe(aboutOf(event))}\n`,
  );
}
