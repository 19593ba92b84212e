import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { metricLabels, metricTable, type MetricRow } from "../src/domain/metrics.ts";
import { metricsPage } from "./metrics-page.ts";

const root = join(import.meta.dirname, "..");
const rows: readonly (readonly [string, MetricRow])[] = Object.entries(metricTable);

describe("the table of metrics", () => {
  test("is what docs/metrics.md says", () => {
    const page = readFileSync(join(root, "docs/metrics.md"), "utf8");
    assert.equal(page, metricsPage(), "run npm run generate");
  });

  test("has no metric that nothing records", () => {
    const files = globSync("src/**/*.ts", {
      cwd: root,
      exclude: ["**/*.test.ts", "src/testing/**"],
    });
    const sources = files
      .filter((file) => file !== "src/domain/metrics.ts")
      .map((file) => readFileSync(join(root, file), "utf8"))
      .join("\n");
    for (const [name] of rows) assert.ok(sources.includes(`"${name}"`), `nothing records ${name}`);
  });

  for (const [name, row] of rows)
    test(`names ${name} as Prometheus wants it`, () => {
      assert.match(name, /^(?:glasshouse|process)_[a-z_]+$/u);
      assert.equal(name.endsWith("_total"), row.kind === "counter");
      if (row.unit !== "") assert.ok(name.endsWith(`_${row.unit}`), `its unit is ${row.unit}`);
      assert.ok(!row.meaning.endsWith("."), "a meaning has no full stop");
      for (const label of row.labels) {
        assert.ok(metricLabels[label] !== undefined, `the label ${label} is explained`);
        assert.doesNotMatch(label, /id$|name|environment|template/u);
      }
    });
});
