import { GlasshouseError } from "../domain/errors.ts";
import type { SecretKeeper } from "../ports/secrets.ts";
import type { EngineDeps } from "./deps.ts";

/** Errors: `not-available` for one that this server does not have. */
export function keeperOf(deps: Pick<EngineDeps, "keepers">, name: string): SecretKeeper {
  const keeper = deps.keepers.find((one) => one.name === name);
  if (keeper !== undefined) return keeper;
  throw new GlasshouseError(
    "not-available",
    `A secret is kept in ${name}, which this server has no connection to: configure ${name} again.`,
  );
}
