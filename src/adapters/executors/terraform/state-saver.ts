import { readFile, stat } from "node:fs/promises";
import { asGlasshouseError } from "../../../domain/errors.ts";
import type { Log } from "../../../ports/telemetry.ts";
import type { StateSlot } from "../../../ports/executor.ts";
import { parseState } from "./state-file.ts";

const saveEveryMs = 1000;

/**
 * Copies the state to the store while Terraform writes it: at most once a second, and less often when a copy takes long.
 * A copy counts only when it parses; half-written ones are passed over. `lost` is called when the step has a new owner.
 * Returns how to end it.
 */
export function saveStateAlongside(facts: {
  readonly path: string;
  readonly slot: StateSlot;
  readonly serial: number;
  readonly log: Log;
  readonly lost: (error: unknown) => void;
}): () => Promise<void> {
  let saved = facts.serial;
  let seen = "";
  let ended = false;
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> = Promise.resolve();

  const copy = async (): Promise<void> => {
    const { mtimeNs, size } = await stat(facts.path, { bigint: true });
    const stamp = `${mtimeNs} ${size}`;
    if (stamp === seen) return;
    const state = parseState(await readFile(facts.path));
    if (state === null) return;
    seen = stamp;
    if (state.serial <= saved) return;
    await facts.slot.saveProgress(state);
    saved = state.serial;
  };

  const turn = async (): Promise<void> => {
    const startedAt = performance.now();
    try {
      await copy();
    } catch (error) {
      const { code } = asGlasshouseError(error);
      if (code === "stale-token") facts.lost(error);
      // The file is on the disk; the next copy, or the one at the end, catches up.
      else facts.log.debug("the state could not be copied yet", { code });
    }
    if (!ended) wait(Math.max(saveEveryMs, 10 * (performance.now() - startedAt)));
  };

  const wait = (delayMs: number): void => {
    timer = setTimeout(() => {
      running = turn();
    }, delayMs);
  };

  wait(saveEveryMs);
  return async () => {
    ended = true;
    if (timer !== null) clearTimeout(timer);
    await running;
  };
}
