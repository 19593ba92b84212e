import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { builtConsul } from "../../tools/tools-directory.ts";

/** Path of a Consul program: the one that `npm run tools -- consul` built, else one on PATH, else null. */
export function consulProgram(): string | null {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  const candidates = [builtConsul(), ...folders.map((folder) => join(folder, "consul"))];
  return candidates.find((path) => existsSync(path)) ?? null;
}

/** Why tests with a real Consul cannot run here, for a test's `skip`, or false. Under CI a missing one fails its tests. */
export const consulSkip: string | false =
  consulProgram() === null &&
  process.env["CI"] !== "true" &&
  "missing: consul (npm run tools -- consul)";
