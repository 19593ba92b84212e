import { createHash } from "node:crypto";
import { z } from "zod";
import type { Json, JsonObject } from "../../../lib/json.ts";
import { isJsonObject } from "../../../lib/json.ts";

/**
 * Terraform's own state file, format 4. Only what is needed is named; unknown fields are accepted. Values are read as
 * JavaScript numbers, so a state is never written back from this form: copies are always the bytes that were read.
 */
/** What JSON.parse made is JSON: checking every attribute again would cost more than all the rest. */
const anyJson = z.custom<Json>();

const pathStep = z.object({ type: z.string(), value: anyJson.optional() });

const instance = z.object({
  index_key: z.union([z.string(), z.number()]).nullish(),
  status: z.string().nullish(),
  deposed: z.string().nullish(),
  attributes: z.custom<JsonObject>().nullish(),
  sensitive_attributes: z.array(z.array(pathStep)).nullish(),
});

const resource = z.object({
  module: z.string().nullish(),
  mode: z.string(),
  type: z.string(),
  name: z.string(),
  provider: z.string(),
  instances: z.array(instance),
});

const stateFile = z.object({
  version: z.literal(4),
  serial: z.int().min(0),
  lineage: z.string().min(1),
  outputs: z
    .record(z.string(), z.object({ value: anyJson, sensitive: z.boolean().nullish() }))
    .nullish(),
  resources: z.array(resource).nullish(),
});

export type PathStep = z.infer<typeof pathStep>;

export interface TerraformState {
  readonly bytes: Uint8Array;
  readonly serial: number;
  readonly lineage: string;
  readonly outputs: Readonly<Record<string, StateOutput>>;
  /** Managed objects, those that are being replaced (`deposed`) too; what was only read is left out. */
  readonly instances: readonly StateInstance[];
  /** Addresses of providers that the state needs, built-in ones left out: `registry.terraform.io/hashicorp/local`. */
  readonly providers: readonly string[];
}

export interface StateOutput {
  readonly value: Json;
  readonly sensitive: boolean;
}

export interface StateInstance {
  readonly address: string;
  readonly type: string;
  readonly deposed: boolean;
  readonly attributes: JsonObject;
  readonly sensitivePaths: readonly (readonly PathStep[])[];
}

/** Null when the bytes are not a whole state: empty, cut off, or of another format. Terraform rewrites its file in place. */
export function parseState(bytes: Uint8Array): TerraformState | null {
  const parsed = stateFile.safeParse(parseJson(bytes));
  if (!parsed.success) return null;
  const resources = parsed.data.resources ?? [];
  return {
    bytes,
    serial: parsed.data.serial,
    lineage: parsed.data.lineage,
    outputs: Object.fromEntries(
      Object.entries(parsed.data.outputs ?? {}).map(([name, output]) => [
        name,
        { value: output.value, sensitive: output.sensitive === true },
      ]),
    ),
    instances: resources.filter(({ mode }) => mode === "managed").flatMap(instancesOf),
    providers: [...new Set(resources.flatMap(({ provider }) => providerAddress(provider)))].sort(),
  };
}

/**
 * A state that holds nothing. It is laid down before the first apply, and kept in the store before anything can be created
 * under it. Its lineage follows from the owner, so that a plan made before the first apply fits that apply.
 */
export function emptyState(owner: string, engineVersion: string): TerraformState {
  const hex = createHash("sha256").update(owner).digest("hex");
  const lineage = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/u, "$1-$2-$3-$4-$5");
  const content = { version: 4, terraform_version: engineVersion, serial: 0, lineage };
  const bytes = Buffer.from(JSON.stringify({ ...content, outputs: {}, resources: [] }));
  return { bytes, serial: 0, lineage, outputs: {}, instances: [], providers: [] };
}

/** The object that lives at an address now; one that waits to be destroyed after its replacement does not count. */
export function currentInstances(state: TerraformState): ReadonlyMap<string, StateInstance> {
  return new Map(
    state.instances.filter((item) => !item.deposed).map((item) => [item.address, item]),
  );
}

function instancesOf(item: z.infer<typeof resource>): readonly StateInstance[] {
  const base = `${item.module ? `${item.module}.` : ""}${item.type}.${item.name}`;
  return item.instances.map((one) => ({
    address: `${base}${indexText(one.index_key)}`,
    type: item.type,
    deposed: Boolean(one.deposed),
    attributes: one.attributes ?? {},
    sensitivePaths: one.sensitive_attributes ?? [],
  }));
}

/** As Terraform prints it: `[0]`, `["a\"b"]`, nothing for a single object. */
function indexText(key: string | number | null | undefined): string {
  if (key === null || key === undefined) return "";
  return typeof key === "number" ? `[${key}]` : `[${quoteKey(key)}]`;
}

const shortEscapes: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  '"': '\\"',
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** HCL's own quoting: what cannot be printed becomes its code point, template markers are doubled. */
function quoteKey(key: string): string {
  const text = key
    .replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]|["\\]/gu, (character) => {
      const hex = (character.codePointAt(0) ?? 0).toString(16);
      const unicode = hex.length > 4 ? `\\U${hex.padStart(8, "0")}` : `\\u${hex.padStart(4, "0")}`;
      return shortEscapes[character] ?? unicode;
    })
    .replaceAll(/[$%](?=\{)/gu, (marker) => marker + marker);
  return `"${text}"`;
}

const builtIn = "terraform.io/builtin/";

/** From `module.x.provider["registry.terraform.io/hashicorp/local"].alias`. */
function providerAddress(text: string): readonly string[] {
  const address = /provider\["([^"]+)"\]/u.exec(text)?.[1];
  return address === undefined || address.startsWith(builtIn) ? [] : [address];
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"));
    return isJsonObject(value) ? value : null;
  } catch {
    return null;
  }
}
