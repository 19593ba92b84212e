import type { Metrics } from "../../../ports/telemetry.ts";
import type { Confirmed } from "./publisher.ts";

/** Sends, and counts what became of each message; all of them are `unconfirmed` when it rejects, and it rejects likewise. */
export async function counted(
  metrics: Pick<Metrics, "count">,
  kinds: readonly ("event" | "reply" | "dead-letter")[],
  send: () => Promise<readonly Confirmed[]>,
): Promise<readonly Confirmed[]> {
  let outcomes: readonly Confirmed[] = [];
  try {
    outcomes = await send();
    return outcomes;
  } finally {
    const counts = new Map<string, number>();
    for (const [at, kind] of kinds.entries()) {
      const key = `${kind} ${outcomes[at] ?? "unconfirmed"}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    for (const [key, by] of counts) {
      const [message = "", outcome = ""] = key.split(" ");
      metrics.count("glasshouse_bus_sent_total", { message, outcome }, by);
    }
  }
}
