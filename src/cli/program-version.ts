import { readFile } from "node:fs/promises";

/** The version that stands in the program's package.json. */
export async function programVersion(): Promise<string> {
  const text = await readFile(new URL("../../package.json", import.meta.url), "utf8");
  const about: unknown = JSON.parse(text);
  const version =
    typeof about === "object" && about !== null && "version" in about && about.version;
  return typeof version === "string" ? version : "unknown";
}
