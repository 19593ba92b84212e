import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { builtVault } from "../../tools/tools-directory.ts";

/** Path of a Vault program: the one that `npm run tools -- vault` built, else vault or OpenBao's bao on PATH, else null. */
export function vaultProgram(): string | null {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const onPath = folders.flatMap((folder) => [join(folder, "vault"), join(folder, "bao")]);
  return [builtVault(), ...onPath].find((path) => existsSync(path)) ?? null;
}

/** Why tests with a real Vault cannot run here, for a test's `skip`, or false. Under CI a missing one fails its tests. */
export const vaultSkip: string | false =
  vaultProgram() === null &&
  process.env["CI"] !== "true" &&
  "missing: vault (npm run tools -- vault)";
