import { readFileSync } from "node:fs";
import { join } from "node:path";

const manifest = join(import.meta.dirname, "..", "..", "package.json");

/** The version this program was released as. */
export function programVersion(): string {
  const about: unknown = JSON.parse(readFileSync(manifest, "utf8"));
  const version =
    typeof about === "object" && about !== null && "version" in about ? about.version : undefined;
  if (typeof version === "string") return version;
  throw new Error(`${manifest} says no version.`);
}
