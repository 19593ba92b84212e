import type { Json, JsonObject } from "../../../lib/json.ts";
import { isJsonObject } from "../../../lib/json.ts";
import type { ObservedResource } from "../../../domain/resource.ts";
import type { SecretRef, Value, Values } from "../../../domain/value.ts";
import type { Redact } from "./mask.ts";
import { maskByName, maskPaths, redactJson, unwrapDynamic } from "./mask.ts";
import type { StateInstance, StateOutput, TerraformState } from "./state-file.ts";
import { currentInstances } from "./state-file.ts";

const maxResources = 5000;
const maxTextLength = 512;
const maxListItems = 20;
const maxAttributesLength = 4096;

/**
 * The objects of a state as others may see them: secrets masked by Terraform's own marks, by name and by value, long
 * texts cut, and at most 4 KiB of attributes each; further ones are left out.
 */
export function observedResources(
  state: TerraformState,
  redact: Redact,
): readonly ObservedResource[] {
  return [...currentInstances(state).values()].slice(0, maxResources).map((item) => ({
    address: redact(item.address),
    type: item.type,
    externalId: idOf(item, redact),
    attributes: attributesOf(item, redact),
  }));
}

/**
 * Declared outputs as the engine keeps them. Sensitive ones, and those in which a known secret appears although nobody
 * marked them, are sealed text by text, so that lists and objects keep their form. Missing ones are left out.
 */
export async function collectOutputs(facts: {
  readonly outputs: Readonly<Record<string, StateOutput>>;
  readonly declared: readonly string[];
  readonly redact: Redact;
  readonly seal: (name: string, plain: string) => Promise<SecretRef>;
}): Promise<Values> {
  const collected: Record<string, Value> = {};
  for (const name of facts.declared) {
    const output = Object.hasOwn(facts.outputs, name) ? facts.outputs[name] : undefined;
    if (output === undefined) continue;
    const shown = redactJson(output.value, facts.redact);
    const open = !output.sensitive && JSON.stringify(shown) === JSON.stringify(output.value);
    collected[name] = open ? output.value : await sealTexts(output.value, name, facts.seal);
  }
  return collected;
}

/** Numbers and truth values become sealed text; Terraform turns them back where it needs them. */
async function sealTexts(
  value: Json,
  name: string,
  seal: (name: string, plain: string) => Promise<SecretRef>,
): Promise<Value> {
  if (value === null) return null;
  if (Array.isArray(value)) {
    const items: readonly Json[] = value;
    return await Promise.all(
      items.map((item, index) => sealTexts(item, `${name}[${index}]`, seal)),
    );
  }
  if (isJsonObject(value)) {
    const members = Object.entries(value).map(
      async ([key, item]) => [key, await sealTexts(item, `${name}.${key}`, seal)] as const,
    );
    return Object.fromEntries(await Promise.all(members));
  }
  return await seal(name, typeof value === "string" ? value : JSON.stringify(value));
}

function idOf({ attributes }: StateInstance, redact: Redact): string | null {
  const id = attributes["id"];
  return typeof id === "string" ? redact(id).slice(0, maxTextLength) : null;
}

function attributesOf(item: StateInstance, redact: Redact): JsonObject {
  const masked = maskByName(
    unwrapDynamic(maskPaths(item.attributes, item.sensitivePaths)),
    item.type,
  );
  const kept: Record<string, Json> = {};
  let length = 0;
  for (const [key, value] of Object.entries(isJsonObject(masked) ? masked : {})) {
    if (value === null) continue;
    // A secret that was cut would not be recognised any more.
    const shown = shorten(redactJson(value, redact));
    length += key.length + JSON.stringify(shown).length + 4;
    if (length > maxAttributesLength) break;
    kept[key] = shown;
  }
  return kept;
}

function shorten(value: Json): Json {
  if (typeof value === "string") {
    return value.length > maxTextLength ? `${value.slice(0, maxTextLength)}…` : value;
  }
  if (Array.isArray(value)) return value.slice(0, maxListItems).map((item: Json) => shorten(item));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, shorten(item)]));
}
