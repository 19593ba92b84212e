import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { JsonObject } from "../../../lib/json.ts";
import { isJsonObject } from "../../../lib/json.ts";
import type { Block } from "./hcl-scan.ts";
import { scanBlocks } from "./hcl-scan.ts";

/** What has to be known of a root module before Terraform is started. */
export interface Configuration {
  /** False when everything comes from the built-in provider and no module is called: then `init` has nothing to do. */
  readonly needsInit: boolean;
  /** Names of declared variables. */
  readonly variables: ReadonlySet<string>;
  /** Where a backend or `cloud` block stands (`file:line`), or null. The state is kept by the service. */
  readonly backendAt: string | null;
  /** Sources of modules, as written. */
  readonly moduleSources: readonly string[];
  /** There is something to read: Terraform takes an empty folder as "destroy everything". */
  readonly hasFiles: boolean;
}

/** Reads the files of one root module. Files that cannot be understood count as "needs init"; Terraform names the mistake. */
export async function readConfiguration(directory: string): Promise<Configuration> {
  const names = (await readdir(directory)).filter((name) =>
    /\.(?:tf|tofu)(?:\.json)?$/u.test(name),
  );
  const files = await Promise.all(
    names.sort().map(async (name) => {
      const text = await readFile(join(directory, name), "utf8");
      return name.endsWith(".json") ? readJson(name, text) : readNative(name, text);
    }),
  );
  return {
    needsInit: files.some((file) => file.needsInit),
    variables: new Set(files.flatMap((file) => [...file.variables])),
    backendAt: files.map((file) => file.backendAt).find((place) => place !== null) ?? null,
    moduleSources: files.flatMap((file) => file.moduleSources),
    hasFiles: files.length > 0,
  };
}

function readNative(name: string, text: string): Configuration {
  const blocks = scanBlocks(text);
  const backend = blocks.find(({ path }) => /^terraform\/(?:backend|cloud)$/u.test(path.join("/")));
  const modules = blocks.filter(({ path }) => path.join("/") === "module");
  return {
    needsInit: modules.length > 0 || blocks.some((block) => asksForProvider(block)),
    variables: new Set(
      blocks
        .filter(({ path }) => path.join("/") === "variable")
        .flatMap(({ labels }) => labels.slice(0, 1)),
    ),
    backendAt: backend === undefined ? null : `${name}:${backend.line}`,
    moduleSources: modules.flatMap(({ strings }) => strings.get("source") ?? []),
    hasFiles: true,
  };
}

function asksForProvider({ path, labels, attributes }: Block): boolean {
  const [kind = ""] = path.slice(-1);
  const [type = ""] = labels;
  if (path.join("/") === "terraform/required_providers") return attributes.length > 0;
  if (path.length === 1 && kind === "provider") return type !== "terraform";
  // `data` stands inside `check` too.
  return /^(?:resource|data|ephemeral|list|action)$/u.test(kind) && !type.startsWith("terraform_");
}

/** JSON syntax is rare and written by programs: its details are not looked at, `init` is cheap enough. */
function readJson(name: string, text: string): Configuration {
  const root = parseObject(text);
  const terraform = isJsonObject(root["terraform"]) ? root["terraform"] : {};
  const modules = isJsonObject(root["module"]) ? Object.values(root["module"]) : [];
  return {
    needsInit: true,
    variables: new Set(isJsonObject(root["variable"]) ? Object.keys(root["variable"]) : []),
    backendAt: "backend" in terraform || "cloud" in terraform ? name : null,
    moduleSources: modules.flatMap((item) =>
      isJsonObject(item) && typeof item["source"] === "string" ? [item["source"]] : [],
    ),
    hasFiles: true,
  };
}

function parseObject(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}
