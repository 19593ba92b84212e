import { detectIsolation } from "../clients/process/isolation.ts";
import type { Config } from "../contract/config.ts";
import type { Log } from "../ports/telemetry.ts";
import type { RunningServer } from "./server.ts";

/**
 * Starts a server as `startServer` does, and loads it first: what children can be fenced off with is tried out in processes
 * of their own meanwhile.
 */
export async function loadAndStart(config: Config, log: Log): Promise<RunningServer> {
  const isolating = detectIsolation();
  const { startServer } = await import("./server.ts");
  return startServer(config, log, isolating);
}
