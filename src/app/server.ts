import type { FastifyInstance } from "fastify";
import { createHttpServer } from "../api/http/server.ts";
import type { Config } from "../contract/config.ts";
import { sortedLabels } from "../domain/label.ts";
import { Engine } from "../engine/engine.ts";
import { timestamp } from "../ports/clock.ts";
import type { Log } from "../ports/telemetry.ts";
import { accept } from "../services/command.ts";
import { apiServices } from "./api-services.ts";
import type { Isolation } from "../clients/process/isolation.ts";
import { compose, type Composition } from "./compose.ts";
import { listenAddress } from "./config-listen.ts";
import { Housekeeping } from "./housekeeping.ts";
import { health } from "./health.ts";
import { programVersion, serviceFacts } from "./service-facts.ts";

/** A server that takes requests and works. */
export interface RunningServer {
  /** Where it listens; the port is the real one when 0 was asked for. */
  readonly url: string;
  /** Takes no new work, lets steps end gently, closes. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts a server: opens the data directory, takes over what an earlier process left in flight, listens. Resolves when it
 * takes requests. Errors: those of the configuration, the store and the address; what was opened is closed again.
 */
export async function startServer(
  config: Config,
  log: Log,
  isolating?: Promise<Isolation>,
): Promise<RunningServer> {
  const address = listenAddress(config.listen);
  const parts = await compose(config, log, isolating);
  const engine = new Engine({
    ...parts.engine,
    worker: { version: programVersion(), labels: sortedLabels(config.engine.labels) },
    requestDestroy: destroyOf(parts),
  });
  const state: ServerState = { phase: "starting" };
  const http = createHttp(config, { parts, log, state });
  try {
    await engine.start();
    const url = await http.listen({ host: address.host, port: address.port });
    const housekeeping = new Housekeeping({
      ...parts,
      log,
      workRoot: parts.engine.settings.workRoot,
      prune: () => parts.prune(),
    });
    housekeeping.start();
    state.phase = "ready";
    let stopped: Promise<void> | null = null;
    const stop = async (): Promise<void> => {
      state.phase = "stopping";
      await housekeeping.stop();
      await http.close();
      await engine.stop();
      await parts.store.close();
    };
    return { url, stop: () => (stopped ??= stop()) };
  } catch (error) {
    await http.close();
    await engine.stop();
    await parts.store.close();
    throw error;
  }
}

/** What the probes say of the server as a whole. */
export interface ServerState {
  phase: "starting" | "ready" | "stopping";
}

function createHttp(
  config: Config,
  of: { readonly parts: Composition; readonly log: Log; readonly state: ServerState },
): FastifyInstance {
  const { parts, log, state } = of;
  return createHttpServer({
    services: apiServices(parts.services),
    store: parts.store,
    clock: parts.clock,
    log,
    allowedHosts: config.security.allowedHosts,
    service: {
      ...serviceFacts(config, parts),
      startedAt: timestamp(parts.clock),
      readiness: async () => {
        if (state.phase !== "ready")
          return { status: state.phase, detail: `the server is ${state.phase}` };
        const store = await parts.store.health();
        return store.status === "down"
          ? { status: "down", detail: store.detail }
          : { status: "ready", detail: store.status === "up" ? "it takes requests" : store.detail };
      },
      health: () => health(parts, state.phase === "ready"),
    },
  });
}

/** The engine asks for destroys as anybody does: by a command, whose id makes it take effect once. */
function destroyOf({
  services,
}: Composition): (request: {
  readonly environmentId: string;
  readonly key: string;
}) => Promise<void> {
  return async ({ environmentId, key }) => {
    await accept(services, {
      source: "glasshouse/lifetime",
      id: key,
      type: "environment.destroy",
      subject: environmentId,
      data: {},
      actor: "lifetime",
      // Its id is fixed: a refusal for now (something requires it) must not be remembered as the answer for ever.
      keepRefusal: false,
      mayWait: true,
    });
  };
}
