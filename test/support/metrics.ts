import type { MetricName } from "../../src/domain/metrics.ts";
import type { TestServer } from "./server.ts";

/** What a running server's `/metrics` says of a metric with these labels; null when it says nothing of it. */
export async function metricOf(
  server: Pick<TestServer, "send">,
  name: MetricName,
  labels: Readonly<Record<string, string>> = {},
): Promise<number | null> {
  const { body } = await server.send("GET", "/metrics");
  const line = String(body)
    .split("\n")
    .find((one) => one.startsWith(name) && hasLabels(one.slice(name.length), labels));
  return line === undefined ? null : Number(line.split(" ").at(-1));
}

function hasLabels(rest: string, labels: Readonly<Record<string, string>>): boolean {
  if (!/^[{ ]/u.test(rest)) return false;
  return Object.entries(labels).every(([label, value]) => rest.includes(`${label}="${value}"`));
}
