import { routeOf } from "../contract/rest.ts";
import type { Call } from "./call.ts";
import { statusStyle } from "./environment-print.ts";
import { heading, printData, printFacts } from "./output.ts";
import { alignedLines } from "./table.ts";
import { workerFacts } from "./worker-commands.ts";
import { moment, painter, safe } from "./text.ts";

export async function status(call: Call): Promise<number> {
  const api = await call.api();
  const health = await api.get(routeOf("getHealth"), { once: true });
  const info = await api.get(routeOf("getInfo"));
  const workers = await api.get(routeOf("listWorkers"));
  const { items, more } = await api.all(routeOf("listEnvironments"), { limit: 5_000 });
  const counts: Record<string, number> = {};
  for (const environment of items)
    counts[environment.status] = (counts[environment.status] ?? 0) + 1;
  const code = health.status === "down" ? 1 : 0;
  if (
    printData(call, {
      server: api.server,
      health,
      info,
      workers: workers.items,
      environments: counts,
    })
  )
    return code;
  if (call.format === "name") {
    call.terminal.out(`${health.status}\n`);
    return code;
  }
  const paint = painter(call.terminal, "out");
  const style = statusStyle(health.status);
  call.terminal.out(
    `${paint("bold", api.server)}  ${style === null ? health.status : paint(style, health.status)}\n`,
  );
  printFacts(call, [
    ["version", info.version],
    ["roles", info.roles.join(", ")],
    ["store", info.store],
    ["executors", info.executors.join(", ")],
    ["journal", `${info.position} events`],
    ["started", moment(info.startedAt)],
  ]);
  heading(call, "Dependencies");
  const lines = alignedLines(
    call,
    health.dependencies.map((dependency) => [
      { text: dependency.name },
      { text: dependency.status, style: statusStyle(dependency.status) },
      { text: dependency.detail },
    ]),
  );
  for (const [at, dependency] of health.dependencies.entries()) {
    call.terminal.out(`${lines[at] ?? ""}\n`);
    if (dependency.advice !== null) call.terminal.out(`  ${safe(dependency.advice)}\n`);
  }
  heading(call, "Workers");
  if (workers.items.length === 0) call.terminal.out("none: what is asked for waits\n");
  else printFacts(call, workerFacts(workers.items));
  heading(call, `Environments${more ? " (the newest)" : ""}`);
  const rows = Object.entries(counts).map(([name, count]) => [name, String(count)] as const);
  if (rows.length === 0) call.terminal.out("none\n");
  else printFacts(call, rows);
  return code;
}
