import type { Api, Handlers } from "./api.ts";
import { actor } from "./command.ts";

export function busHandlers(api: Api): Pick<Handlers, "getBus" | "redriveBus"> {
  return {
    getBus: () => api.services.getBus(),
    redriveBus: ({ body }) =>
      api.services.redriveBus({ ...body, reason: body.reason ?? null, actor }),
  };
}
