import type { Config } from "../contract/config.ts";
import { GlasshouseError } from "../domain/errors.ts";

/**
 * Refuses roles that leave work undone: a SQLite file belongs to one process, so without the role worker nobody would ever
 * work. Errors: `invalid-configuration`.
 */
export function refuseIdleRoles({ roles, store }: Pick<Config, "roles" | "store">): void {
  if (store.url !== "sqlite" || roles.includes("worker")) return;
  throw new GlasshouseError(
    "invalid-configuration",
    "With SQLite the roles must include worker: one process holds the file, so nobody else could work on what this one takes in. Leave `roles` out, or keep the state in PostgreSQL (`store.url`) and start workers beside it.",
  );
}
