import type { Api, Handlers } from "./api.ts";

type Ids =
  | "getLiveness"
  | "getReadiness"
  | "getHealth"
  | "getHealthAtRoot"
  | "getMetrics"
  | "getVersion"
  | "getInfo";

/** Prometheus asks for this version of its format by name. */
const metricsType = "text/plain; version=0.0.4; charset=utf-8";

export function healthHandlers(api: Api): Pick<Handlers, Ids> {
  const { service } = api;
  const health: Handlers["getHealth"] = async ({ reply }) => {
    const view = await service.health();
    void reply.code(view.status === "down" ? 503 : 200);
    return view;
  };
  return {
    getLiveness: async () => ({ status: "ok" }),
    getReadiness: async ({ reply }) => {
      const view = await service.readiness();
      void reply.code(view.status === "ready" ? 200 : 503);
      return view;
    },
    getHealth: health,
    getHealthAtRoot: async ({ reply }) => {
      const view = await service.health();
      void reply.code(view.status === "down" ? 503 : 200);
      return view;
    },
    getMetrics: async ({ reply }) =>
      reply
        .type(metricsType)
        .header("cache-control", "no-store")
        .send(await service.metricsText()),
    getVersion: async () => ({
      name: "glasshouse",
      version: service.version,
      api: "v1",
      commit: service.commit,
    }),
    getInfo: async () => info(api),
  };
}

async function info(api: Api): ReturnType<Handlers["getInfo"]> {
  const { service, services } = api;
  const { head, oldest } = await services.journalEdges();
  return {
    version: service.version,
    roles: service.roles,
    store: service.store,
    bus: service.bus,
    executors: service.executors,
    epoch: service.epoch,
    position: head,
    oldestPosition: oldest,
    startedAt: service.startedAt,
    listen: service.listen,
  };
}
