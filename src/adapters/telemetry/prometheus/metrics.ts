import {
  metricTable,
  type CounterName,
  type GaugeName,
  type HistogramName,
  type LabelsOf,
  type MetricName,
} from "../../../domain/metrics.ts";
import type { Metrics, Readings } from "../../../ports/telemetry.ts";
import type { Reading, Sdk } from "./sdk.ts";

type Labels = Readonly<Record<string, string>>;
type Reader = () => readonly Reading[] | Promise<readonly Reading[]>;

interface Sample {
  readonly name: HistogramName;
  readonly value: number;
  readonly labels: Labels;
}

/** So many observations wait before they are handed on: a burst pays for it once, in a turn of its own. */
const mostWaiting = 1_000;
/** A reader may ask the store, which may be down. */
const readerMs = 1_000;

/**
 * Metrics in Prometheus' text format, made by OpenTelemetry's SDK. The SDK takes a tenth of a second to load, so it comes with
 * the first answer or with many observations, whichever is first; until then, and between, counters are plain numbers here and
 * observations wait in a list. A server that nobody asks and that has little to do never loads it.
 */
export class PrometheusMetrics implements Metrics {
  readonly #counts = new Map<MetricName, Map<string, { value: number; readonly labels: Labels }>>();
  readonly #readers = new Map<MetricName, Set<Reader>>();
  #waiting: Sample[] = [];
  #sdk: Promise<Sdk> | null = null;
  #flushing = false;

  count<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by = 1): void {
    let counts = this.#counts.get(name);
    if (counts === undefined) this.#counts.set(name, (counts = new Map()));
    const key = keyOf(name, labels);
    const known = counts.get(key);
    if (known === undefined) counts.set(key, { value: by, labels });
    else known.value += by;
  }

  record<Name extends HistogramName>(name: Name, value: number, labels: LabelsOf<Name>): void {
    this.#waiting.push({ name, value, labels });
    if (this.#waiting.length >= mostWaiting && !this.#flushing) void this.#flush();
  }

  observe<Name extends GaugeName | CounterName>(
    name: Name,
    read: () => Readings<Name> | Promise<Readings<Name>>,
  ): () => void {
    const readers = this.#readers.get(name) ?? new Set<Reader>();
    this.#readers.set(name, readers.add(read));
    return () => void readers.delete(read);
  }

  /** All metrics as they are now, in Prometheus' text format 0.0.4. */
  async text(): Promise<string> {
    await this.#flush();
    const sdk = await this.#load();
    return sdk.text();
  }

  async #flush(): Promise<void> {
    this.#flushing = true;
    try {
      const sdk = await this.#load();
      const samples = this.#waiting;
      this.#waiting = [];
      for (const { name, value, labels } of samples) sdk.record(name, value, labels);
    } finally {
      this.#flushing = false;
    }
  }

  #load(): Promise<Sdk> {
    this.#sdk ??= import("./sdk.ts").then(({ createSdk }) =>
      createSdk((name) => this.#readingsOf(name)),
    );
    return this.#sdk;
  }

  /** What was counted under a name and what its readers say now, added up by label. */
  async #readingsOf(name: MetricName): Promise<readonly Reading[]> {
    const readers = [...(this.#readers.get(name) ?? [])];
    const said = await Promise.all(readers.map((read) => readInTime(read)));
    const sums = new Map<string, { value: number; readonly labels: Labels }>();
    for (const reading of [...(this.#counts.get(name)?.values() ?? []), ...said.flat()]) {
      const key = keyOf(name, reading.labels);
      const sum = sums.get(key);
      if (sum === undefined) sums.set(key, { ...reading });
      else sum.value += reading.value;
    }
    return [...sums.values()];
  }
}

function keyOf(name: MetricName, labels: Labels): string {
  const names: readonly string[] = metricTable[name].labels;
  return names.length === 1
    ? (labels[names[0] ?? ""] ?? "")
    : names.map((label) => labels[label]).join("\n");
}

/** A reader that fails or takes long is left out of this answer: the others are still worth having. */
async function readInTime(read: Reader): Promise<readonly Reading[]> {
  const late = Promise.withResolvers<readonly Reading[]>();
  const timer = setTimeout(() => late.resolve([]), readerMs);
  try {
    return await Promise.race([Promise.resolve(read()), late.promise]);
  } catch {
    return [];
  } finally {
    clearTimeout(timer);
  }
}
