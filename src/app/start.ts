import { detectIsolation } from "../clients/process/isolation.ts";
import type { Config } from "../contract/config.ts";
import type { Log } from "../ports/telemetry.ts";
import type { RunningServer } from "./server.ts";

/** So long after the start what the first request needs is loaded, before it comes. */
const loadRestAfterMs = 1_000;

/**
 * Starts a server as `startServer` does, and loads it first: what children can be fenced off with is tried out in processes
 * of their own meanwhile.
 */
export async function loadAndStart(config: Config, log: Log): Promise<RunningServer> {
  const isolating = detectIsolation();
  const [{ startServer }, { loadServices }] = await Promise.all([
    import("./server.ts"),
    import("./api-services.ts"),
  ]);
  const server = await startServer(config, log, isolating);
  setTimeout(() => {
    Promise.all([import("../services/prepare.ts"), loadServices()]).catch((error: unknown) =>
      log.error("A part of the program cannot be loaded: requests will fail", { error }),
    );
  }, loadRestAfterMs).unref();
  return server;
}
