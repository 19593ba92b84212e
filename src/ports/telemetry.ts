import type {
  CounterName,
  GaugeName,
  HistogramName,
  LabelsOf,
  MetricName,
} from "../domain/metrics.ts";

/** Logs. One call at the boundary where an error is handled; fields are plain and hold no secret. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Metrics of the table in domain/metrics.ts. Recording costs less than a microsecond and never throws; what is recorded is
 * kept in memory for whoever asks `/metrics`.
 */
export interface Metrics {
  /** Adds to a counter; 1 unless `by` says more. */
  count<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by?: number): void;
  /** One observation of a histogram, in the unit of its row (seconds). */
  record<Name extends HistogramName>(name: Name, value: number, labels: LabelsOf<Name>): void;
  /**
   * `read` is asked whenever metrics are, and not otherwise. A counter that something else keeps is observed, too. What
   * rejects or takes longer than a second is left out of that answer. Several readers of a name are added up by label.
   * The returned function ends it; calling it twice is safe.
   */
  observe<Name extends GaugeName | CounterName>(
    name: Name,
    read: () => Readings<Name> | Promise<Readings<Name>>,
  ): () => void;
}

export type Readings<Name extends MetricName> = readonly {
  readonly value: number;
  readonly labels: LabelsOf<Name>;
}[];

/** For what is built without anybody who asks for metrics. */
export const noMetrics: Metrics = {
  count: () => undefined,
  record: () => undefined,
  observe: () => () => undefined,
};
