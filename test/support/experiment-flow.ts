import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Executor } from "../../src/ports/executor.ts";
import { fakeExecutor } from "../../src/testing/fake-executor.ts";
import { sampleGroup, sampleTemplate } from "../../src/testing/samples.ts";
import { bent, but, executorBut, liveUntil } from "./crash-world.ts";
import { realCommands } from "./experiment-effect.ts";
import type { Experiment } from "./experiment.ts";
import { createServiceWorld, plainYaml } from "./services.ts";
import { createWorld } from "./world.ts";

/** A server dies with a step under way. Without: nobody takes from the dead what they had. */
export const recoveryExperiment: Experiment = {
  promise: "nothing waits for ever",
  mechanism: "taking over what the dead had begun",
  async run(on) {
    const directory = await mkdtemp(join(tmpdir(), "glasshouse-recovery-"));
    const executors = [fakeExecutor()];
    let runId = "";
    try {
      await liveUntil({ directory, executors, at: "step.prepared" }, async (world) => {
        const body = sampleTemplate({ web: sampleGroup({}) });
        runId = (await world.create(await world.template(body))).id;
      });
      const bend = on
        ? {}
        : {
            bend: (store: Parameters<typeof bent>[0]) =>
              bent(store, ({ steps }) => ({ steps: but(steps, { abandon: async () => [] }) })),
          };
      const world = await createWorld({ directory, executors, ...bend });
      try {
        for (let turn = 0; turn < 100; turn += 1) {
          const run = await world.store.read((tx) => tx.runs.get(runId));
          if (run?.status === "succeeded") return null;
          await sleep(20);
        }
        const [step] = await world.steps(runId);
        return `its step is ${step?.status}, its owner is dead, and nobody goes on`;
      } finally {
        await world.close();
      }
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};

/** A server is stopped with a command under way. Without: its child is killed where it was to be asked. */
export const gentleExperiment: Experiment = {
  promise: "stopping is gentle",
  mechanism: "one SIGINT to the child, and time to end",
  async run(on) {
    const directory = await mkdtemp(join(tmpdir(), "glasshouse-gentle-"));
    const file = join(directory, "said");
    await appendFile(file, "");
    const real = await realCommands();
    const program = 'trap "echo tidied >> $1; exit 1" INT; echo began >> "$1"; sleep 30 & wait';
    const create = ["sh", "-c", program, "sh", file];
    const body = sampleTemplate({ web: sampleGroup({ with: { create } }) });
    const world = await createWorld({
      directory,
      executors: [on ? real : withoutGrace(real)],
    });
    try {
      await world.create(await world.template(body));
      while (!(await readFile(file, "utf8")).includes("began")) await sleep(10);
      await world.engine.stop();
      const said = await readFile(file, "utf8");
      return said.includes("tidied") ? null : "the command was cut off without being asked to end";
    } finally {
      await world.close();
      await rm(directory, { recursive: true, force: true });
    }
  },
};

function withoutGrace(real: Executor): Executor {
  return executorBut(real, {
    apply: (ctx) => real.apply({ ...ctx, signal: new AbortController().signal, kill: ctx.signal }),
  });
}

/** More is asked for than is worked off. Without: the queue grows as long as somebody asks. */
export const boundExperiment: Experiment = {
  promise: "everything is bounded",
  mechanism: "a limit, and a typed refusal past it",
  async run(on) {
    const queuedRunsOfEnvironment = on ? 3 : Number.POSITIVE_INFINITY;
    const world = await createServiceWorld({ limits: { queuedRunsOfEnvironment } });
    try {
      await world.register(plainYaml());
      await world.send("environment.create", "one", { template: "plain", name: "one" });
      const codes: unknown[] = [];
      for (let turn = 0; turn < 6; turn += 1)
        await world
          .send("environment.validate", "one")
          .catch((error: unknown) => codes.push(error));
      const queued = (await world.queueOf("one")).length;
      if (queued > 3) return `${queued} runs are queued where 3 may be`;
      const refused = codes.every((error) => error instanceof Error && "code" in error);
      return refused && codes.length > 0 ? null : "it was not refused in so many words";
    } finally {
      await world.close();
    }
  },
};
