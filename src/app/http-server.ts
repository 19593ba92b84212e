import type { FastifyInstance } from "fastify";
import type { ServiceFacts } from "../api/http/api.ts";
import { createHttpServer } from "../api/http/server.ts";
import type { Config } from "../contract/config.ts";
import { timestamp } from "../ports/clock.ts";
import type { Log } from "../ports/telemetry.ts";
import { apiServices } from "./api-services.ts";
import type { Composition } from "./compose.ts";
import { health } from "./health.ts";
import { ownNames } from "./config-listen.ts";
import { servedTls } from "./served-tls.ts";
import { serviceFacts } from "./service-facts.ts";

/** What the probes say of the server as a whole. */
export interface ServerState {
  phase: "starting" | "ready" | "stopping";
}

/** The HTTP server over these parts: the whole API, or probes alone without the role `api`. */
export function httpServer(
  config: Config,
  of: {
    readonly parts: Composition;
    readonly log: Log;
    readonly state: ServerState;
    /** Resolves when this server works on steps, if it is to. */
    readonly works: () => Promise<void>;
  },
): FastifyInstance {
  const { parts, log, state, works } = of;
  const services = apiServices(
    { ...parts.services, bus: parts.bus, authorities: parts.engine.authorities },
    parts.accept,
  );
  const listWorkers: typeof services.listWorkers = async () => {
    await works();
    return services.listWorkers();
  };
  return createHttpServer({
    services: { ...services, listWorkers },
    store: parts.store,
    clock: parts.clock,
    log,
    metrics: parts.metrics,
    allowedHosts: ownNames(config),
    ...(parts.certificate === null ? {} : { tls: servedTls(parts.certificate) }),
    service: {
      ...serviceFacts(config, parts),
      startedAt: timestamp(parts.clock),
      readiness: readinessOf(config, of),
      metricsText: parts.metricsText,
      health: () => health(parts, { ready: state.phase === "ready", roles: config.roles }),
    },
  });
}

function readinessOf(
  { roles }: Config,
  { parts, state }: { readonly parts: Composition; readonly state: ServerState },
): ServiceFacts["readiness"] {
  const ready = roles.includes("api") ? "it takes requests" : "it works on steps";
  return async () => {
    if (state.phase !== "ready")
      return { status: state.phase, detail: `the server is ${state.phase}` };
    const store = await parts.store.health();
    if (store.status === "down") return { status: "down", detail: store.detail };
    return { status: "ready", detail: store.status === "up" ? ready : store.detail };
  };
}
