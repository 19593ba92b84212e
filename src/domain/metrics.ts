/**
 * Every metric that the product has. Instruments, types and docs/metrics.md come from this table; names follow Prometheus
 * (https://prometheus.io/docs/practices/naming/). A label takes few values that the product itself chose: never an id, nor a
 * name that a user gave. What a histogram's `_count` says has no counter of its own.
 */
export const metricTable = {
  glasshouse_commands_total: counter(
    ["type", "outcome"],
    "Commands that were answered: `accepted`, `refused`, or `repeated` (the same id again, which takes no effect)",
  ),
  glasshouse_remote_call_duration_seconds: histogram(
    ["remote", "outcome"],
    "Calls to something outside of the process, with their retries: `ok`, `failed`, `refused` (the breaker is open, nothing was sent), `answered` (an error that says nothing of the remote's health) or `cancelled`",
  ),
  glasshouse_remote_retries_total: counter(
    ["remote"],
    "Tries of such calls after the first one, which had failed for a reason that may pass",
  ),
  glasshouse_remote_breakers: gauge(
    ["remote", "state"],
    "Circuit breakers by state: `closed` is well, `open` lets nothing through, `half-open` lets one call through to see",
    "",
  ),
} as const satisfies Record<string, MetricRow>;

/** What the labels mean, by name: one meaning everywhere. */
export const metricLabels: Readonly<Record<string, string>> = {
  outcome: "how it ended; each metric says which there are",
  remote: "what is called: `git` (all hosts of repositories together), `store`, `bus`",
  state: "each metric says which there are",
  type: "type of the command, such as `environment.create`",
};

export interface MetricRow {
  readonly kind: "counter" | "histogram" | "gauge";
  /** Prometheus' base unit, the last word of the name; empty for a plain number. */
  readonly unit: "seconds" | "bytes" | "";
  readonly labels: readonly string[];
  /** For operators: what it says, without a full stop. */
  readonly meaning: string;
  /** Upper bounds of a histogram's buckets, in its unit. */
  readonly buckets?: readonly number[];
}

export type MetricName = keyof typeof metricTable;
export type CounterName = NameOf<"counter">;
export type HistogramName = NameOf<"histogram">;
export type GaugeName = NameOf<"gauge">;

type NameOf<Kind extends MetricRow["kind"]> = {
  [Name in MetricName]: (typeof metricTable)[Name]["kind"] extends Kind ? Name : never;
}[MetricName];

/** Exactly the labels of the row. */
export type LabelsOf<Name extends MetricName> = Readonly<
  Record<(typeof metricTable)[Name]["labels"][number], string>
>;

/** From a millisecond to a quarter of an hour. */
function durationBuckets(): readonly number[] {
  return [0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 15, 60, 300, 900];
}

function counter<const Labels extends readonly string[]>(labels: Labels, meaning: string) {
  return { kind: "counter", unit: "", labels, meaning } as const;
}

function histogram<const Labels extends readonly string[]>(labels: Labels, meaning: string) {
  return {
    kind: "histogram",
    unit: "seconds",
    labels,
    meaning,
    buckets: durationBuckets(),
  } as const;
}

function gauge<const Labels extends readonly string[], const Unit extends MetricRow["unit"]>(
  labels: Labels,
  meaning: string,
  unit: Unit,
) {
  return { kind: "gauge", unit, labels, meaning } as const;
}
