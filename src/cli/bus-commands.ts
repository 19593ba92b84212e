import { routeOf } from "../contract/rest.ts";
import type { Call } from "./call.ts";
import { statusStyle } from "./environment-print.ts";
import { limitOf } from "./options.ts";
import { heading, printData, printFacts } from "./output.ts";
import { painter, safe } from "./text.ts";

export async function show(call: Call): Promise<number> {
  const api = await call.api();
  const bus = await api.get(routeOf("getBus"));
  const code = bus.status === "up" ? 0 : 1;
  if (printData(call, bus)) return code;
  if (call.format === "name") {
    call.terminal.out(`${bus.kind}\n`);
    return code;
  }
  const style = statusStyle(bus.status);
  const status = style === null ? bus.status : painter(call.terminal, "out")(style, bus.status);
  printFacts(call, [
    ["bus", bus.kind],
    ["status", status],
    ["detail", safe(bus.detail)],
    ["commands waiting", bus.commands?.toString() ?? "not known"],
    ["dead letters", bus.dead?.toString() ?? "not known"],
    ["events to be sent", bus.behind?.toString() ?? "-"],
  ]);
  if (bus.advice !== null) call.terminal.out(`\n${safe(bus.advice)}\n`);
  return code;
}

export async function redrive(call: Call): Promise<void> {
  const api = await call.api();
  const reason = call.options.text("reason");
  const dryRun = call.options.flag("dryRun");
  const limited = call.options.text("limit") !== undefined;
  const body = {
    dryRun,
    ...(reason === undefined ? {} : { reason }),
    ...(limited ? { limit: limitOf(call) } : {}),
  };
  const redriven = await api.get(routeOf("redriveBus"), { body });
  if (printData(call, redriven)) return;
  const { moved, left, reasons } = redriven;
  const what = dryRun ? "would be moved" : "moved";
  call.terminal.out(
    call.format === "name" ? `${moved}\n` : `${moved} ${what} back to the commands, ${left} left\n`,
  );
  const rows = Object.entries(reasons).map(([name, count]) => [safe(name), String(count)] as const);
  if (rows.length === 0 || call.format === "name") return;
  heading(call, "Reasons");
  printFacts(call, rows);
}
