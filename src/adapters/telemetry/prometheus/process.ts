import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Metrics } from "../../../ports/telemetry.ts";

/** Fine enough to see what hurts, coarse enough to cost nothing. */
const delayResolutionMs = 50;
const quantiles = [50, 99, 100] as const;

/** Lets this process say how it is. Nothing is measured before somebody asks for the first time. */
export function observeProcess(metrics: Metrics, { version }: { readonly version: string }): void {
  const startedAtSeconds = (Date.now() - performance.now()) / 1000;
  metrics.observe("process_start_time_seconds", () => one(startedAtSeconds));
  metrics.observe("process_resident_memory_bytes", () => one(process.memoryUsage.rss()));
  metrics.observe("process_cpu_seconds_total", () => {
    const { user, system } = process.cpuUsage();
    return one((user + system) / 1e6);
  });
  metrics.observe("glasshouse_build_info", () => [{ value: 1, labels: { version } }]);
  metrics.observe("glasshouse_child_processes", () =>
    one(process.getActiveResourcesInfo().filter((kind) => kind === "ProcessWrap").length),
  );
  metrics.observe("glasshouse_event_loop_delay_seconds", delayReader());
}

function one(value: number): readonly { readonly value: number; readonly labels: object }[] {
  return [{ value, labels: {} }];
}

function delayReader(): () => readonly {
  readonly value: number;
  readonly labels: { readonly quantile: string };
}[] {
  let delay: ReturnType<typeof monitorEventLoopDelay> | null = null;
  return () => {
    if (delay === null) {
      delay = monitorEventLoopDelay({ resolution: delayResolutionMs });
      delay.enable();
      return [];
    }
    const seen = delay;
    const values = quantiles.map((quantile) => ({
      // The histogram holds the time between two looks, which are meant to be `resolution` apart.
      value: Math.max(0, seen.percentile(quantile) / 1e6 - delayResolutionMs) / 1000,
      labels: { quantile: String(quantile / 100) },
    }));
    seen.reset();
    return values;
  };
}
