import type { CounterName, GaugeName, LabelsOf, MetricName } from "../domain/metrics.ts";
import type { Metrics, Readings } from "../ports/telemetry.ts";

interface Recorded {
  readonly name: MetricName;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Keeps what was recorded, for tests to look at. */
export class FakeMetrics implements Metrics {
  readonly #recorded: Recorded[] = [];
  readonly #readers = new Map<MetricName, Set<() => unknown>>();

  count<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by = 1): void {
    this.#recorded.push({ name, labels, value: by });
  }

  record(name: MetricName, value: number, labels: Readonly<Record<string, string>>): void {
    this.#recorded.push({ name, labels, value });
  }

  observe<Name extends GaugeName | CounterName>(
    name: Name,
    read: () => Readings<Name> | Promise<Readings<Name>>,
  ): () => void {
    const readers = this.#readers.get(name) ?? new Set();
    this.#readers.set(name, readers.add(read));
    return () => void readers.delete(read);
  }

  /** The sum of what was counted under these labels, or of all when none are given. */
  sum(name: MetricName, labels: Readonly<Record<string, string>> = {}): number {
    return this.#matching(name, labels).reduce((sum, { value }) => sum + value, 0);
  }

  /** How often something was recorded under these labels. */
  times(name: MetricName, labels: Readonly<Record<string, string>> = {}): number {
    return this.#matching(name, labels).length;
  }

  /** What the readers of a gauge say now. */
  async read(name: MetricName): Promise<readonly unknown[]> {
    const said = await Promise.all([...(this.#readers.get(name) ?? [])].map((read) => read()));
    return said.flat();
  }

  #matching(name: MetricName, labels: Readonly<Record<string, string>>): readonly Recorded[] {
    const wanted = Object.entries(labels);
    return this.#recorded.filter(
      (one) => one.name === name && wanted.every(([key, value]) => one.labels[key] === value),
    );
  }
}
