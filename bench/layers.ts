import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commandExecutor } from "../src/adapters/executors/command/index.ts";
import { startChild } from "../src/clients/process/child.ts";
import { detectIsolation, type Isolation } from "../src/clients/process/isolation.ts";
import { createWorld } from "../test/support/world.ts";
import { layered, templateOf } from "./graphs.ts";
import { runInMemory } from "./memory-runner.ts";
import { median, type Row } from "./measure.ts";

const pairs = 3;
const shape = layered(5, 4);
const parallelism = 10;
const program = ["sleep", "0.5"];
const path = process.env["PATH"] ?? "/usr/bin:/bin";

/** B5: units that are processes, against the same processes under the same wardens with a scheduler that stores nothing. */
export async function layers(): Promise<readonly Row[]> {
  const isolation = await detectIsolation();
  const ratios: number[] = [];
  for (let pair = 0; pair < pairs; pair += 1) {
    const bare = await bareMs(isolation);
    ratios.push((await oursMs(isolation)) / bare);
  }
  const value = median(ratios);
  return [
    {
      name: "20 units in 5 layers, 0.5 s processes",
      value,
      unit: "× in-memory scheduler, same wardens",
      target: "≤ 1.05",
      ok: value <= 1.05,
    },
  ];
}

async function bareMs(isolation: Isolation): Promise<number> {
  const cwd = mkdtempSync(join(tmpdir(), "glasshouse-bench-"));
  let count = 0;
  try {
    return await runInMemory(shape, {
      parallelism,
      act: async () => {
        count += 1;
        const child = await startChild(isolation, {
          argv: program,
          cwd,
          env: { PATH: path },
          outputFile: join(cwd, `${count}.log`),
          stopsWithinMs: 1_000,
        });
        child.go();
        const { code } = await child.exited;
        if (code !== 0) throw new Error(`a process ended with ${code}`);
      },
    });
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

async function oursMs(isolation: Isolation): Promise<number> {
  const executor = commandExecutor({
    isolation,
    environment: process.env,
    grants: () => ({}),
    hide: [],
    graceMs: 1_000,
  });
  const world = await createWorld({ executors: [executor] });
  try {
    const body = templateOf(shape, {
      executor: "command",
      with: { create: program, observe: program },
    });
    const template = await world.template(body);
    const begun = performance.now();
    const run = await world.create(template);
    const ended = await world.ended(run.id);
    if (ended.status !== "succeeded") throw new Error(`the measured run ended as ${ended.status}`);
    return performance.now() - begun;
  } finally {
    await world.close();
  }
}
