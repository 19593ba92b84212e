import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { promisify } from "node:util";
import { engines } from "../test/system/terraform/engines.ts";
import { createWorld, type World } from "../test/support/world.ts";
import { terraformConfigurationFile } from "../tools/tools-directory.ts";
import type { TemplateFile } from "../src/domain/template.ts";
import { sampleGroup, sampleTemplate } from "../src/testing/samples.ts";
import { median, type Row } from "./measure.ts";

const pairs = 3;
const run = promisify(execFile);
/** What Glasshouse may add to each process of a unit that needs no provider. */
const mostAddedMs = 25;

/** B4: one Terraform unit, against the bare commands on the same configuration with the same providers. */
export async function terraformUnit(): Promise<readonly Row[]> {
  const engine = engines.find(({ skip }) => skip === false);
  if (engine === undefined)
    return [
      {
        name: "Terraform unit: not measured, no terraform or no mirrored providers (npm run tools)",
        value: Number.NaN,
        unit: "",
        target: "≤ 1.08",
        ok: false,
      },
    ];
  const real = await compare(engine, withProviders);
  const plain = await compare(engine, dataAlone);
  const ratio = (kind: "cold" | "warm"): number =>
    median(real.map((pair) => pair.ours[kind].ms / pair.bare[kind].ms));
  const added = median([
    ...plain.map((pair) => (pair.ours.cold.ms - pair.bare.cold.ms) / 2),
    ...plain.map((pair) => pair.ours.warm.ms - pair.bare.warm.ms),
  ]);
  const more = (of: "processorMs" | "turns"): number =>
    median(real.map(({ ours, bare }) => ours.warm[of] - bare.warm[of]));
  return [
    ...(["cold", "warm"] as const).map((kind) => ({
      name: `${engine.name}, 15 resources and 2 mirrored providers, ${kind}`,
      value: ratio(kind),
      unit: kind === "cold" ? "× bare init + apply" : "× bare apply",
      target: "≤ 1.08",
      ok: ratio(kind) <= 1.08,
    })),
    {
      name: `${engine.name}, the same warm: processor time of the process that called it`,
      value: more("processorMs"),
      unit: "ms more than of the bare caller",
      target: "shown",
      ok: true,
    },
    {
      name: `${engine.name}, the same warm: turns of its event loop`,
      value: more("turns"),
      unit: "more than of the bare caller",
      target: "shown",
      ok: true,
    },
    {
      name: `${engine.name}, terraform_data alone: added to a process`,
      value: added,
      unit: "ms",
      target: `≤ ${mostAddedMs}`,
      ok: added <= mostAddedMs,
    },
  ];
}

interface Times {
  readonly cold: Spent;
  readonly warm: Spent;
}

/** What one way took, and what it cost the process that this is: counts say more than times where others are at work. */
interface Spent {
  readonly ms: number;
  readonly processorMs: number;
  readonly turns: number;
}

async function compare(
  engine: (typeof engines)[number],
  configuration: string,
): Promise<readonly { readonly ours: Times; readonly bare: Times }[]> {
  const found: { ours: Times; bare: Times }[] = [];
  for (let pair = 0; pair < pairs; pair += 1)
    found.push({
      bare: await bareTimes(engine.path, configuration),
      ours: await ourTimes(engine, configuration),
    });
  return found;
}

/** `init` and `apply` by hand, then `apply` with another value of its variable. */
async function bareTimes(program: string, configuration: string): Promise<Times> {
  const cwd = await mkdtemp(join(tmpdir(), "glasshouse-bench-"));
  const env = {
    ...process.env,
    TF_CLI_CONFIG_FILE: terraformConfigurationFile(),
    TF_IN_AUTOMATION: "1",
    CHECKPOINT_DISABLE: "1",
  };
  const call = (...argv: readonly string[]) => run(program, [...argv], { cwd, env });
  const apply = (size: string) =>
    call("apply", "-auto-approve", "-input=false", "-no-color", "-var", `size=${size}`);
  try {
    await writeFile(join(cwd, "main.tf"), configuration);
    const cold = await timed(async () => {
      await call("init", "-input=false", "-no-color");
      await apply("1");
    });
    return { cold, warm: await timed(() => apply("2")) };
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}

async function ourTimes(engine: (typeof engines)[number], configuration: string): Promise<Times> {
  const world = await createWorld({ executors: [engine.executor] });
  try {
    const template = await register(world, configuration);
    const parameters = { size: 1 };
    let environmentId = "";
    const cold = await timed(async () => {
      const created = await world.create(template, parameters);
      environmentId = created.environmentId;
      await succeeded(world, created.id);
    });
    const desired = {
      templates: [
        {
          templateId: template.id,
          name: template.name,
          version: template.version,
          parameters: { size: 2 },
        },
      ],
    };
    const warm = await timed(async () => {
      const updated = await world.queue(environmentId, "update", { wanted: desired });
      await succeeded(world, updated.id);
    });
    return { cold, warm };
  } finally {
    await world.close();
  }
}

async function register(
  world: World,
  configuration: string,
): Promise<Awaited<ReturnType<World["template"]>>> {
  const digest = await world.deps.blobs.put(Buffer.from(configuration));
  const file: TemplateFile = {
    path: "unit/main.tf",
    mode: 0o644,
    size: Buffer.byteLength(configuration),
    digest,
  };
  const body = sampleTemplate(
    {
      unit: sampleGroup({
        executor: "terraform",
        with: { source: "./unit", variables: { size: "${{ parameters.size }}" } },
      }),
    },
    {
      parameters: { size: { type: "integer", description: "", secret: false, immutable: false } },
    },
  );
  return world.template(body, [file]);
}

async function succeeded(world: World, runId: string): Promise<void> {
  const { status, failure } = await world.ended(runId);
  if (status !== "succeeded")
    throw new Error(`the measured run ended as ${status}: ${failure?.message ?? ""}`);
}

async function timed(act: () => Promise<unknown>): Promise<Spent> {
  const before = process.cpuUsage();
  const { loopCount } = performance.nodeTiming.uvMetricsInfo;
  const begun = performance.now();
  await act();
  const ms = performance.now() - begun;
  const { user, system } = process.cpuUsage(before);
  const turns = performance.nodeTiming.uvMetricsInfo.loopCount - loopCount;
  return { ms, processorMs: (user + system) / 1000, turns };
}

const variable = `variable "size" { type = number }\n`;

const dataAlone = `${variable}
resource "terraform_data" "unit" {
  count = 15
  input = "\${count.index} \${var.size}"
}
`;

const withProviders = `${variable}
terraform {
  required_providers {
    local = { source = "hashicorp/local" }
    time  = { source = "hashicorp/time" }
  }
}
resource "local_file" "unit" {
  count    = 10
  filename = "\${path.module}/made/\${count.index}"
  content  = "\${count.index} \${var.size}"
}
resource "time_static" "unit" {
  count    = 5
  triggers = { size = var.size }
}
`;
