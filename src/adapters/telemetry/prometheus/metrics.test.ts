import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { PrometheusMetrics } from "./metrics.ts";
import { observeProcess } from "./process.ts";

/** The lines of one metric, without its comments. */
async function linesOf(metrics: PrometheusMetrics, name: string): Promise<readonly string[]> {
  const lines = (await metrics.text()).split("\n");
  return lines.filter((line) => line.startsWith(name));
}

const one = (value: number) => [{ value, labels: {} }];

describe("the metrics in Prometheus' format", () => {
  test("add up counters by label, before and after the SDK is loaded", async () => {
    const metrics = new PrometheusMetrics();
    const type = "environment.create";
    metrics.count("glasshouse_commands_total", { type, outcome: "accepted" });
    metrics.count("glasshouse_commands_total", { type, outcome: "accepted" }, 2);
    metrics.count("glasshouse_commands_total", { type, outcome: "conflict" });
    assert.deepEqual(await linesOf(metrics, "glasshouse_commands_total"), [
      'glasshouse_commands_total{type="environment.create",outcome="accepted"} 3',
      'glasshouse_commands_total{type="environment.create",outcome="conflict"} 1',
    ]);
    metrics.count("glasshouse_commands_total", { type, outcome: "accepted" });
    const [line] = await linesOf(metrics, "glasshouse_commands_total");
    assert.equal(line, 'glasshouse_commands_total{type="environment.create",outcome="accepted"} 4');
  });

  test("say what each metric means and of which kind it is", async () => {
    const metrics = new PrometheusMetrics();
    metrics.count("glasshouse_stale_writes_total", {});
    const text = await metrics.text();
    assert.match(text, /^# HELP glasshouse_stale_writes_total Late writes that were refused/mu);
    assert.match(text, /^# TYPE glasshouse_stale_writes_total counter$/mu);
    assert.match(text, /^glasshouse_stale_writes_total 1$/mu);
  });

  test("put observations into the buckets of the table, however many wait", async () => {
    const metrics = new PrometheusMetrics();
    const labels = { kind: "create", outcome: "succeeded" };
    for (let run = 0; run < 2_500; run += 1)
      metrics.record("glasshouse_run_duration_seconds", run < 2_000 ? 0.3 : 30, labels);
    const lines = await linesOf(metrics, "glasshouse_run_duration_seconds");
    const value = (rest: string): string | undefined =>
      lines
        .find((line) => line.startsWith(`glasshouse_run_duration_seconds_${rest}`))
        ?.split(" ")[1];
    assert.equal(value("count"), "2500");
    assert.equal(value('bucket{kind="create",outcome="succeeded",le="0.1"}'), "0");
    assert.equal(value('bucket{kind="create",outcome="succeeded",le="0.5"}'), "2000");
    assert.equal(value('bucket{kind="create",outcome="succeeded",le="+Inf"}'), "2500");
    assert.ok(Math.abs(Number(value("sum")) - 15_600) < 0.01);
  });

  test("ask readers each time, add several up, and forget those that ended", async () => {
    const metrics = new PrometheusMetrics();
    metrics.observe("glasshouse_live_clients", () => one(2));
    const end = metrics.observe("glasshouse_live_clients", async () => one(3));
    assert.deepEqual(await linesOf(metrics, "glasshouse_live"), ["glasshouse_live_clients 5"]);
    end();
    assert.deepEqual(await linesOf(metrics, "glasshouse_live"), ["glasshouse_live_clients 2"]);
  });

  test("say nothing any more of what nobody says anything of", async () => {
    const metrics = new PrometheusMetrics();
    const counts = new Map([["consul", 2]]);
    metrics.observe("glasshouse_checks_followed", () =>
      [...counts].map(([kind, value]) => ({ value, labels: { kind } })),
    );
    const lines = () => linesOf(metrics, "glasshouse_checks_followed");
    assert.deepEqual(await lines(), ['glasshouse_checks_followed{kind="consul"} 2']);
    counts.clear();
    assert.deepEqual(await lines(), []);
    counts.set("http", 1);
    assert.deepEqual(await lines(), ['glasshouse_checks_followed{kind="http"} 1']);
  });

  test("are the same for several who ask at once", async () => {
    const metrics = new PrometheusMetrics();
    metrics.observe("glasshouse_places", () => one(20));
    metrics.observe("glasshouse_queue_runs", async () => {
      await sleep(5);
      return [];
    });
    const asked = Array.from({ length: 3 }, () => linesOf(metrics, "glasshouse_"));
    for (const lines of await Promise.all(asked)) assert.deepEqual(lines, ["glasshouse_places 20"]);
  });

  test("come without what cannot be read or is not read in time", async () => {
    const metrics = new PrometheusMetrics();
    metrics.observe("glasshouse_queue_runs", async () =>
      Promise.reject(new Error("store is down")),
    );
    metrics.observe("glasshouse_journal_position", async () => new Promise(() => undefined));
    metrics.observe("glasshouse_places", () => [{ value: 20, labels: {} }]);
    assert.deepEqual(await linesOf(metrics, "glasshouse_"), ["glasshouse_places 20"]);
  });

  test("escape what stands in a label", async () => {
    const metrics = new PrometheusMetrics();
    const version = 'a"b\\c\nd';
    metrics.observe("glasshouse_build_info", () => [{ value: 1, labels: { version } }]);
    assert.deepEqual(await linesOf(metrics, "glasshouse_build_info"), [
      String.raw`glasshouse_build_info{version="a\"b\\c\nd"} 1`,
    ]);
  });

  test("know the process: its memory, its processor time, its delays", async () => {
    const metrics = new PrometheusMetrics();
    observeProcess(metrics, { version: "1.2.3" });
    await metrics.text();
    // A turn that blocks for longer than a timer's pause is what the delay is there to show.
    await sleep(120);
    const until = performance.now() + 150;
    while (performance.now() < until);
    await sleep(60);
    const lines = (await metrics.text()).split("\n");
    const value = (name: string): number =>
      Number(lines.find((line) => line.startsWith(`${name} `))?.split(" ")[1]);
    assert.ok(value("process_resident_memory_bytes") > 10_000_000);
    assert.ok(value("process_cpu_seconds_total") > 0);
    assert.ok(Math.abs(value("process_start_time_seconds") - Date.now() / 1000) < 86_400);
    const latest = value('glasshouse_event_loop_delay_seconds{quantile="1"}');
    assert.ok(latest > 0.05 && latest < 5, String(latest));
  });
});
