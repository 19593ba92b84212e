import type { WorkerView } from "../../contract/rest.ts";
import type { WorkerRead } from "../../services/worker.ts";
import type { Api, Handlers } from "./api.ts";

export function workerHandlers(api: Api): Pick<Handlers, "listWorkers"> {
  return {
    listWorkers: async () => ({
      items: (await api.services.listWorkers()).map((read) => workerOf(read)),
      next: null,
    }),
  };
}

function workerOf({ worker, running }: WorkerRead): WorkerView {
  return {
    id: worker.id,
    host: worker.process.host,
    pid: worker.process.pid,
    version: worker.version,
    labels: worker.labels,
    status: worker.status,
    lapsed: worker.isLapsed,
    leaseEndsAt: worker.leaseEndsAt,
    running,
    startedAt: worker.startedAt,
  };
}
