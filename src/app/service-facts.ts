import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { ServiceFacts } from "../api/http/api.ts";
import type { Config } from "../contract/config.ts";
import { templateJsonSchema } from "../contract/template-schema.ts";
import type { Composition } from "./compose.ts";

const manifest = join(import.meta.dirname, "..", "..", "package.json");

/** The version this program was released as. */
export function programVersion(): string {
  return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(manifest, "utf8")))
    .version;
}

/** What the server says of itself at `/version` and `/info`, and the schemas it serves. */
export function serviceFacts(
  config: Config,
  { executors, bus }: Pick<Composition, "executors" | "bus">,
): Omit<ServiceFacts, "startedAt" | "readiness" | "health"> {
  return {
    version: programVersion(),
    commit: null,
    roles: config.roles,
    store: config.store.url,
    bus: bus.kind,
    executors: executors.map((executor) => executor.name),
    epoch: 1,
    listen: config.listen,
    schemas: { template: () => templateJsonSchema(executors) },
  };
}
