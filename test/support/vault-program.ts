import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { builtVault, fetchedOpenBao } from "../../tools/tools-directory.ts";

/** `vault`, or `openbao` where `GLASSHOUSE_TEST_VAULT` says so: whose program the tests of Vault run against. */
export const vaultKind = kindOf(process.env["GLASSHOUSE_TEST_VAULT"] ?? "vault");

function kindOf(word: string): "vault" | "openbao" {
  if (word === "vault" || word === "openbao") return word;
  throw new Error(`GLASSHOUSE_TEST_VAULT is vault or openbao, not ${word}`);
}

/** Path of the program: the one that `npm run tools -- vault` built or `-- openbao` fetched, else one on PATH, else null. */
export function vaultProgram(): string | null {
  const [had, name] = vaultKind === "openbao" ? [fetchedOpenBao(), "bao"] : [builtVault(), "vault"];
  const onPath = (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, name));
  return [had, ...onPath].find((path) => existsSync(path)) ?? null;
}

/** Why tests with a real Vault cannot run here, for a test's `skip`, or false. Under CI a missing one fails its tests. */
export const vaultSkip: string | false =
  vaultProgram() === null &&
  process.env["CI"] !== "true" &&
  `missing: ${vaultKind} (npm run tools -- ${vaultKind})`;

/** As `vaultSkip`, for tests of an engine that Vault has built in and OpenBao does not. */
export function engineSkip(engine: "aws" | "consul"): string | false {
  if (vaultKind === "openbao") return `OpenBao has no engine ${engine} built in`;
  return vaultSkip;
}
