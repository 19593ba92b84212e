import { routeOf, type WorkerView } from "../contract/rest.ts";
import type { Call } from "./call.ts";
import { printData, printList } from "./output.ts";
import type { Column } from "./table.ts";
import { age, moment, type Style } from "./text.ts";

const columns: readonly Column<WorkerView>[] = [
  { title: "WORKER", value: ({ id }) => id },
  { title: "HOST", value: ({ host }) => host },
  { title: "LABELS", value: ({ labels }) => (labels.length === 0 ? "-" : labels.join(", ")) },
  { title: "STATUS", value: workerStatus, style: statusStyleOf },
  { title: "STEPS", value: ({ running }) => String(running) },
  { title: "VERSION", value: ({ version }) => version },
  { title: "AGE", value: ({ startedAt }) => age(startedAt, Date.now()) },
  { title: "LEASE ENDS", value: ({ leaseEndsAt }) => moment(leaseEndsAt), wide: true },
  { title: "PID", value: ({ pid }) => String(pid), wide: true },
];

export async function list(call: Call): Promise<void> {
  const api = await call.api();
  const found = await api.get(routeOf("listWorkers"));
  if (printData(call, found)) return;
  printList(call, found.items, {
    columns,
    name: ({ id }) => id,
    empty: "There is no worker: start one with `glasshouse server`.",
  });
}

/** How many there are of each status, and what they offer: one list a worker. */
export function workerFacts(
  workers: readonly WorkerView[],
): readonly (readonly [string, string])[] {
  const byStatus = Map.groupBy(workers, (worker) => workerStatus(worker));
  return [...byStatus].map(([status, some]) => {
    const lists = some.map(({ labels }) => labels.join(", ")).filter((labels) => labels !== "");
    const offers = [...new Set(lists)].toSorted().join("; ");
    return [status, offers === "" ? String(some.length) : `${some.length}  ${offers}`] as const;
  });
}

/** A lease that has ended says more than what the worker said of itself last. */
function workerStatus({ status, lapsed }: WorkerView): string {
  return lapsed && status !== "gone" ? "lapsed" : status;
}

function statusStyleOf(worker: WorkerView): Style {
  const status = workerStatus(worker);
  return status === "working" ? "green" : status === "draining" ? "yellow" : "red";
}
