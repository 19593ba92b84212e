import { GlasshouseError } from "../../domain/errors.ts";
import type { Processes } from "../../ports/processes.ts";
import { awaitGone, identifySelf, identityAlive, provenGone } from "./identity.ts";

/** The processes of this machine, as recovery sees them. */
export function localProcesses(): Processes {
  return {
    self: identifySelf,
    isProvenGone: provenGone,
    isAlive: identityAlive,
    awaitGone: async (identity, signal) => {
      if ((await awaitGone(identity, { kill: true, signal })) !== "alive") return;
      const where = `The process ${identity.pid} of an earlier server`;
      if (signal.aborted)
        throw new GlasshouseError(
          "unavailable",
          `${where} was still running when the wait for its end was called off.`,
        );
      throw new GlasshouseError(
        "unavailable",
        `${where} does not end, not even killed. Nothing is done with what it may still change: look at it and end it by hand.`,
      );
    },
  };
}
