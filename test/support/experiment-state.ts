import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Group } from "../../src/adapters/executors/terraform/context.fixture.ts";
import { createTerraformExecutor } from "../../src/adapters/executors/terraform/index.ts";
import { eventsNote } from "../../src/adapters/executors/terraform/notes.ts";
import { emptyState } from "../../src/adapters/executors/terraform/state-file.ts";
import { detectIsolation } from "../../src/clients/process/isolation.ts";
import type { Experiment } from "./experiment.ts";

const made = {
  action: "create",
  address: "cloud_disk.a",
  type: "cloud_disk",
  idKey: "id",
  id: "disk-1",
} as const;

/** A state that parses and lacks what was completed. Without: nobody remembers the events to compare it with. */
export const stateExperiment: Experiment = {
  promise: "nothing created stays unknown",
  mechanism: "comparing states with events",
  async run(on) {
    const directory = await mkdtemp(join(tmpdir(), "glasshouse-state-"));
    try {
      const group = new Group(join(directory, "work"), {
        settings: { source: "." },
        files: {},
        outputs: [],
      });
      const state = emptyState(group.context().owner, "1.0.0");
      await group.slot.saveProgress({
        bytes: state.bytes,
        serial: state.serial,
        lineage: state.lineage,
      });
      const events = [
        { ...made, kind: "started" },
        { ...made, kind: "completed" },
      ] as const;
      const attempt = { ...group.unknownAttempt(), notes: on ? [eventsNote(events)] : [] };
      const executor = createTerraformExecutor({
        isolation: await detectIsolation(),
        environment: {},
        grants: () => ({}),
        hide: [],
        log: { debug() {}, info() {}, warn() {}, error() {} },
      });
      const context = group.context({ attempts: [attempt] });
      const settled = await executor.settle({ ...context, operation: "apply" });
      const known = settled.kind === "ask" && settled.addresses.includes(made.address);
      return known ? null : `${made.address} was created, is in no state, and nobody is told`;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};
