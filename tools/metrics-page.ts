import { metricLabels, metricTable, type MetricRow } from "../src/domain/metrics.ts";

/** The text of docs/metrics.md, made from the table of metrics; `npm run generate` writes it and a test compares it. */
export function metricsPage(): string {
  const rows: readonly (readonly [string, MetricRow])[] = Object.entries(metricTable);
  const used = new Set(rows.flatMap(([, { labels }]) => labels));
  return [
    "# Metrics",
    "",
    "`GET /metrics` gives what this process counts, in Prometheus' text format. Each replica says what it did itself; what is in",
    "the store (the queue, the journal) every replica says alike. Counters and histograms begin at 0 with the process.",
    "[Operations](operations.md#metrics) says which to look at first. This page is made from `src/domain/metrics.ts` by",
    "`npm run generate`.",
    "",
    "| metric | kind | unit | labels | meaning | what to do |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows.map(
      ([name, { kind, unit, labels, meaning, advice = "" }]) =>
        `| \`${name}\` | ${kind} | ${unit} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${meaning} | ${advice} |`,
    ),
    "",
    "A histogram `x` is three metrics: `x_bucket`, `x_sum` and `x_count`, which is how many there were. No label holds an id or a",
    "name that somebody gave to something.",
    "",
    "| label | meaning |",
    "| --- | --- |",
    ...Object.entries(metricLabels)
      .filter(([label]) => used.has(label))
      .map(([label, meaning]) => `| \`${label}\` | ${meaning} |`),
    "",
  ].join("\n");
}
