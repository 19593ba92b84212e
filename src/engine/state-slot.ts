import type { StateCopy, StateSlot } from "../ports/executor.ts";
import type { StateVersion } from "../ports/repositories.ts";
import { timestamp } from "../ports/clock.ts";
import type { Fence } from "../ports/work.ts";
import type { EngineDeps } from "./deps.ts";

interface Place {
  readonly environmentId: string;
  readonly template: string;
  readonly group: string;
}

/** A group's sealed state, each write under the claim's fence: first the blob, then the row that names it. */
export function stateSlot(deps: EngineDeps, at: Place, fence: Fence): StateSlot {
  const rowOf = async (copy: StateCopy): Promise<StateVersion> => {
    const blob = await deps.blobs.putSealed(copy.bytes);
    await deps.settings.failpoint("state.blobWritten");
    return {
      ...at,
      version: 0,
      serial: copy.serial,
      lineage: copy.lineage,
      blob,
      createdAt: timestamp(deps.clock),
    };
  };
  return {
    latest: async () => copyOf(deps, await deps.store.read((tx) => tx.states.latest(at))),
    inProgress: async () => copyOf(deps, await deps.store.read((tx) => tx.states.inProgress(at))),
    saveProgress: async (copy) => {
      const row = await rowOf(copy);
      await deps.store.transact(async (tx) => {
        await tx.steps.fence(fence);
        await tx.states.putProgress(row);
      });
    },
    saveVersion: async (copy) => {
      const row = await rowOf(copy);
      await deps.store.transact(async (tx) => {
        await tx.steps.fence(fence);
        await tx.states.addVersion(row, deps.settings.stateVersions);
      });
      await deps.settings.failpoint("state.saved");
    },
  };
}

async function copyOf(deps: EngineDeps, row: StateVersion | null): Promise<StateCopy | null> {
  if (row === null) return null;
  return { bytes: await deps.blobs.get(row.blob), serial: row.serial, lineage: row.lineage };
}
