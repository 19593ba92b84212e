import type { Histogram } from "@opentelemetry/api";
import { PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import {
  AggregationTemporality,
  InstrumentType,
  MeterProvider,
  MetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  metricTable,
  type HistogramName,
  type MetricName,
  type MetricRow,
} from "../../../domain/metrics.ts";

export interface Reading {
  readonly value: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** What is loaded late. */
export interface Sdk {
  record(name: HistogramName, value: number, labels: Readonly<Record<string, string>>): void;
  text(): Promise<string>;
}

/** Makes every instrument of the table. Counters and gauges are observed: `readingsOf` says what they are when they are asked. */
export function createSdk(readingsOf: (name: MetricName) => Promise<readonly Reading[]>): Sdk {
  const reader = new AskedReader();
  const meter = new MeterProvider({ readers: [reader] }).getMeter("glasshouse");
  const histograms = new Map<string, Histogram>();
  for (const name of namesOf(metricTable)) {
    const row: MetricRow = metricTable[name];
    const about = { description: row.meaning, unit: row.unit };
    if (row.kind === "histogram") {
      const advice = { explicitBucketBoundaries: [...(row.buckets ?? [])] };
      histograms.set(name, meter.createHistogram(name, { ...about, advice }));
      continue;
    }
    const instrument =
      row.kind === "counter"
        ? meter.createObservableCounter(name, about)
        : meter.createObservableGauge(name, about);
    instrument.addCallback(async (result) => {
      for (const { value, labels } of await readingsOf(name)) result.observe(value, labels);
    });
  }
  // No timestamps, no info about this library: every line is one of the table's.
  const serializer = new PrometheusSerializer(undefined, false, undefined, true, true);
  return {
    record: (name, value, labels) => histograms.get(name)?.record(value, labels),
    text: oneAtATime(async () => serializer.serialize((await reader.collect()).resourceMetrics)),
  };
}

/** One collection would take what another one has just been told of gauges. Who asks during one shares the next one. */
function oneAtATime(collect: () => Promise<string>): () => Promise<string> {
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<string> | null = null;
  const collectNext = (): Promise<string> => {
    next = null;
    return collect();
  };
  return () => {
    next ??= last.then(collectNext, collectNext);
    last = next;
    return next;
  };
}

/** Collects when it is asked and at no other time. */
class AskedReader extends MetricReader {
  constructor() {
    // The SDK would go on telling of a gauge what was said of it last, long after nobody says anything of it any more.
    const gauge = InstrumentType.OBSERVABLE_GAUGE;
    super({
      aggregationTemporalitySelector: (type) =>
        type === gauge ? AggregationTemporality.DELTA : AggregationTemporality.CUMULATIVE,
    });
  }

  protected override async onForceFlush(): Promise<void> {
    // Nothing is kept back.
  }

  protected override async onShutdown(): Promise<void> {
    // Nothing is open.
  }
}

function namesOf<Name extends string>(table: Readonly<Record<Name, unknown>>): readonly Name[] {
  const isName = (name: string): name is Name => Object.hasOwn(table, name);
  return Object.keys(table).filter((name) => isName(name));
}
