import type { ServiceFacts } from "../api/http/api.ts";
import type { Config } from "../contract/config.ts";
import type { JsonObject } from "../lib/json.ts";
import type { Composition } from "./compose.ts";
import { programVersion } from "./program-version.ts";

/** What the server says of itself at `/version` and `/info`, and the schemas it serves. */
export function serviceFacts(
  config: Config,
  { executors, bus }: Pick<Composition, "executors" | "bus">,
): Omit<ServiceFacts, "startedAt" | "readiness" | "health" | "metricsText"> {
  return {
    version: programVersion(),
    commit: null,
    roles: config.roles,
    store: config.store.url,
    bus: bus.kind,
    executors: executors.map((executor) => executor.name),
    epoch: 1,
    listen: config.listen,
    schemas: { template: () => templateSchema(executors) },
  };
}

/** Loaded when it is first asked for: nothing else here needs what a template may hold. */
async function templateSchema(executors: Composition["executors"]): Promise<JsonObject> {
  const { templateJsonSchema } = await import("../contract/template-schema.ts");
  return templateJsonSchema(executors);
}
