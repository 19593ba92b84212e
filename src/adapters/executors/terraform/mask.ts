import type { Json, JsonObject } from "../../../lib/json.ts";
import { isJsonObject } from "../../../lib/json.ts";
import { secretMask } from "../../../domain/value.ts";
import type { PathStep, StateInstance, TerraformState } from "./state-file.ts";

/** Replaces known secret values inside a text. */
export type Redact = (text: string) => string;

/** Every text of a value, its keys too, after redaction. */
export function redactJson(value: Json, redact: Redact): Json {
  if (typeof value === "string") return redact(value);
  if (Array.isArray(value)) return value.map((item: Json) => redactJson(item, redact));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [redact(key), redactJson(item, redact)]),
  );
}

/** The attributes with what lies at these paths replaced. A path that leads into nothing masks where it stops. */
export function maskPaths(
  attributes: JsonObject,
  paths: readonly (readonly PathStep[])[],
): JsonObject {
  let masked: Json = attributes;
  for (const path of paths) masked = maskAt(masked, path);
  return isJsonObject(masked) ? masked : {};
}

/**
 * `marks` has `true` where Terraform's plan calls the value sensitive, lists and objects around it, and nothing where
 * there is nothing to hide (`before_sensitive`, `after_sensitive` of `show -json`).
 */
export function maskMarked(value: Json, marks: Json | undefined): Json {
  if (marks === true) return value === null ? null : secretMask;
  if (Array.isArray(value) && Array.isArray(marks)) {
    return value.map((item: Json, index) => maskMarked(item, marks[index]));
  }
  if (!isJsonObject(value) || !isJsonObject(marks)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, maskMarked(item, marks[key])]),
  );
}

/** Names under which secrets usually live; older engines do not mark what only the provider's schema calls sensitive. */
export function maskByName(value: Json, type: string): Json {
  if (Array.isArray(value)) return value.map((item: Json) => maskByName(item, type));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      item !== null && isSecretName(key, type) ? secretMask : maskByName(item, type),
    ]),
  );
}

/** Texts of a state that must not be shown: sensitive outputs, and attributes at sensitive paths. */
export function secretTexts(state: TerraformState): readonly string[] {
  const outputs = Object.values(state.outputs).filter(({ sensitive }) => sensitive);
  return [
    ...outputs.flatMap(({ value }) => textsOf(value)),
    ...state.instances.flatMap((item) => secretsOfInstance(item)),
  ];
}

/** Texts and numbers inside a value, as a program would print them. */
export function textsOf(value: Json): readonly string[] {
  if (typeof value === "string") return [value];
  if (typeof value === "number") return [String(value)];
  if (Array.isArray(value)) return value.flatMap((item: Json) => textsOf(item));
  return isJsonObject(value) ? Object.values(value).flatMap((item) => textsOf(item)) : [];
}

function secretsOfInstance({ attributes, sensitivePaths, type }: StateInstance): readonly string[] {
  const marked = sensitivePaths.flatMap((path) => textsOf(valueAt(attributes, path)));
  const named = Object.entries(attributes)
    .filter(([key]) => isSecretName(key, type))
    .flatMap(([, value]) => textsOf(value));
  return [...marked, ...named];
}

function isSecretName(key: string, type: string): boolean {
  if (key === "id") return false;
  if (type === "random_password" && key === "result") return true;
  if (type === "local_sensitive_file" && key.startsWith("content")) return true;
  return /pass(?:word|wd|phrase)|secret(?!_?(?:id|name|arn|version|path)s?$)|(?:^|_)token(?!_?(?:id|name|type|ttl)s?$)|private_key|access_key(?!_id$)|api_?key|credential|connection_string|kube_?config|client_key|user_data|bcrypt/iu.test(
    key,
  );
}

function maskAt(value: Json, [step, ...rest]: readonly PathStep[]): Json {
  if (value === null) return null;
  if (step === undefined) return secretMask;
  if (isDynamic(value)) return { ...value, value: maskAt(value.value, [step, ...rest]) };
  const key = keyOf(step);
  if (Array.isArray(value) && typeof key === "number" && key < value.length) {
    return value.map((item: Json, index) => (index === key ? maskAt(item, rest) : item));
  }
  if (isJsonObject(value) && key !== null && String(key) in value) {
    return { ...value, [String(key)]: maskAt(value[String(key)] ?? null, rest) };
  }
  return secretMask;
}

function valueAt(value: Json, [step, ...rest]: readonly PathStep[]): Json {
  if (step === undefined) return value;
  if (isDynamic(value)) return valueAt(value.value, [step, ...rest]);
  const key = keyOf(step);
  if (Array.isArray(value) && typeof key === "number") {
    const items: readonly Json[] = value;
    return valueAt(items[key] ?? null, rest);
  }
  return isJsonObject(value) && key !== null ? valueAt(value[String(key)] ?? null, rest) : value;
}

/**
 * An attribute of any type is kept as `{ "value": …, "type": … }`, and paths do not name that wrapping. An ordinary object
 * with these two members may be taken for one; then more is masked than had to be.
 */
function isDynamic(value: Json): value is { readonly value: Json; readonly type: Json } {
  if (!isJsonObject(value) || Object.keys(value).length !== 2 || !("value" in value)) return false;
  const { type } = value;
  return (
    Array.isArray(type) ||
    (typeof type === "string" && /^(?:string|number|bool|dynamic)$/u.test(type))
  );
}

/** `get_attr` holds a name, `index` a key or number with its type: `{ "value": 0, "type": "number" }`. */
function keyOf({ value }: PathStep): string | number | null {
  const plain = isJsonObject(value) ? value["value"] : value;
  return typeof plain === "string" || typeof plain === "number" ? plain : null;
}

/** Attributes without the wrapping of those that can have any type, as people wrote them. */
export function unwrapDynamic(attributes: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(attributes).map(([key, value]) => [key, isDynamic(value) ? value.value : value]),
  );
}
