import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commandExecutor } from "../../src/adapters/executors/command/index.ts";
import { detectIsolation } from "../../src/clients/process/isolation.ts";
import type { Executor } from "../../src/ports/executor.ts";
import { sampleGroup, sampleTemplate } from "../../src/testing/samples.ts";
import { bent, but, executorBut, liveOn, liveUntil, type Bend } from "./crash-world.ts";
import type { Experiment } from "./experiment.ts";

/** A command that writes into a file each time it acts, cut off after it has acted and before that is recorded. */
export interface CutOff {
  readonly made: number;
  readonly status: string;
}

export async function cutOffAfterActing(
  bendings: {
    readonly bend?: Bend;
    readonly executor?: (real: Executor) => Executor;
    /** The look of the next life is cut off too, before it has begun. */
    readonly twice?: boolean;
    readonly observe?: readonly string[];
  } = {},
): Promise<CutOff> {
  const directory = await mkdtemp(join(tmpdir(), "glasshouse-cut-"));
  const file = join(directory, "made");
  await appendFile(file, "");
  const real = await realCommands();
  const executor = bendings.executor?.(real) ?? real;
  const { bend } = bendings;
  const options = {
    directory,
    executors: [executor],
    ...(bend === undefined
      ? {}
      : { bend: (store: Parameters<typeof bent>[0]) => bent(store, bend) }),
  };
  const observe = bendings.observe ?? ["sh", "-c", 'grep -q made "$1" || exit 3', "sh", file];
  const create = ["sh", "-c", 'echo made >> "$1"', "sh", file];
  const body = sampleTemplate({ web: sampleGroup({ with: { create, observe: [...observe] } }) });
  let runId = "";
  try {
    await liveUntil({ ...options, at: "step.acted" }, async (world) => {
      runId = (await world.create(await world.template(body))).id;
    });
    if (bendings.twice === true)
      await liveUntil({ ...options, at: "step.prepared" }, async () => undefined);
    const { status } = await liveOn(options, runId);
    return { made: (await readFile(file, "utf8")).split("\n").length - 1, status };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

export async function realCommands(): Promise<Executor> {
  return commandExecutor({
    isolation: await detectIsolation(),
    environment: process.env,
    grants: () => ({}),
    hide: [],
    graceMs: 1_000,
  });
}

function madeOnce({ made, status }: CutOff): string | null {
  if (made !== 1) return `it was made ${made} times`;
  return status === "succeeded" ? null : `the run is ${status}`;
}

/** Without: the child is not stored before it is let go, so recovery believes that nothing had begun. */
export const intentExperiment: Experiment = {
  promise: "nothing is made twice (intent)",
  mechanism: "the intent stored before it acts",
  async run(on) {
    return madeOnce(await cutOffAfterActing(on ? {} : { bend: withoutIntent }));
  },
};

/** Without: an unknown outcome is simply tried again. */
export const lookExperiment: Experiment = {
  promise: "nothing is made twice (look)",
  mechanism: "looking before it acts again",
  async run(on) {
    return madeOnce(await cutOffAfterActing(on ? {} : { executor: withoutLook }));
  },
};

const withoutIntent: Bend = ({ steps }) => ({
  steps: but(steps, { setChild: async () => undefined }),
});

function withoutLook(real: Executor): Executor {
  return executorBut(real, { settle: async () => ({ kind: "again" }) });
}
