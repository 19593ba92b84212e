import { cpus, loadavg, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { durableChain } from "./bare-loop.ts";
import { bus } from "./bus.ts";
import { consulKeys } from "./consul.ts";
import { credentials } from "./credentials.ts";
import { healthChanges } from "./health.ts";
import { graphOverhead } from "./graph-overhead.ts";
import { largeTemplate } from "./large-template.ts";
import { layers } from "./layers.ts";
import { manyRuns } from "./many-runs.ts";
import type { BenchOptions, Row } from "./measure.ts";
import { replicas } from "./replicas.ts";
import { restart } from "./restart.ts";
import { idle, secondStart } from "./server-cost.ts";
import { searching } from "./search.ts";
import { terraformUnit } from "./terraform-unit.ts";
import { vaultSecrets } from "./vault.ts";

const suites: Readonly<Record<string, (options: BenchOptions) => Promise<readonly Row[]>>> = {
  graph: graphOverhead,
  chain: durableChain,
  runs: manyRuns,
  terraform: terraformUnit,
  layers,
  restart,
  start: secondStart,
  idle,
  large: largeTemplate,
  replicas,
  bus,
  consul: consulKeys,
  credentials,
  vault: vaultSecrets,
  health: healthChanges,
  search: searching,
};

/**
 * `npm run bench [-- suite … --runs <number>]`: measures every suite (or those named) and prints one table. Exit 1 when a
 * target is missed.
 */
async function main(args: readonly string[]): Promise<number> {
  const { values, positionals: names } = parseArgs({
    args: [...args],
    options: { runs: { type: "string" } },
    allowPositionals: true,
  });
  const runs = values.runs === undefined ? null : Number(values.runs);
  if (runs !== null && !(Number.isInteger(runs) && runs > 0)) {
    print("--runs takes a whole number.");
    return 2;
  }
  const unknown = names.filter((name) => suites[name] === undefined);
  if (unknown.length > 0) {
    print(`There is no suite ${unknown.join(", ")}. There are: ${Object.keys(suites).join(", ")}.`);
    return 2;
  }
  const cpu = cpus();
  print(
    `Node ${process.version}, ${cpu.length} × ${cpu[0]?.model ?? "unknown"}, ${Math.round(totalmem() / 1024 ** 3)} GiB, load ${loadavg()[0]?.toFixed(1) ?? "?"}`,
  );
  // The engine's timers do not keep a process alive, and some rows wait for nothing else.
  const alive = setInterval(() => undefined, 60_000);
  let missed = 0;
  for (const [name, suite] of Object.entries(suites)) {
    if (names.length > 0 && !names.includes(name)) continue;
    for (const row of await suite({ runs })) {
      missed += row.ok ? 0 : 1;
      print(
        `${row.ok ? "✔" : "✖"} ${row.name.padEnd(64)} ${format(row.value).padStart(9)} ${row.unit.padEnd(34)} ${row.target}`,
      );
    }
  }
  clearInterval(alive);
  return missed === 0 ? 0 : 1;
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

process.exitCode = await main(process.argv.slice(2));
