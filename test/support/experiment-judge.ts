import { spawn } from "node:child_process";
import { once } from "node:events";
import { journalFaults, leftOver } from "./crash-judge.ts";
import type { Experiment } from "./experiment.ts";
import { testDirectory } from "./server.ts";

/** The judge of the journal itself: it must see a missing event and a step that runs again. */
export const journalExperiment: Experiment = {
  promise: "(the judge) events are gap-free",
  mechanism: "numbering without gaps",
  run: async (on) => {
    const sequences = on ? [1, 2, 3] : [1, 3, 4];
    const events = sequences.map((sequence) => ({
      type: "run.started",
      sequence,
      position: sequence,
    }));
    return journalFaults(events)[0] ?? null;
  },
};

/** The judge of processes: it must see one that works in the test's directory. */
export const leftOverExperiment: Experiment = {
  promise: "(the judge) no child is left over",
  mechanism: "ending the child",
  run: async (on) => {
    const { path, remove } = await testDirectory();
    const child = spawn("sleep", ["60"], { cwd: path, stdio: "ignore" });
    const ended = once(child, "exit");
    try {
      if (on) {
        child.kill();
        await ended;
      }
      const found = await leftOver({ directory: path, data: path, serverPids: [] });
      return found[0]?.replace(/\d+/u, "N") ?? null;
    } finally {
      child.kill();
      await remove();
    }
  },
};
