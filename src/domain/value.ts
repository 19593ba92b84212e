import { canonicalJson, type Json } from "../lib/json.ts";

/**
 * Points at a sealed value. The value itself never travels: it is opened just in time by the executor's context.
 * `fingerprint` is the HMAC of the value under the data key, so equal settings can be recognised without opening it.
 */
export interface SecretRef {
  readonly $secret: string;
  /** Which part of it, where it has several: those of a certificate. */
  readonly part?: string;
  readonly fingerprint: string;
}

/** Text with secrets inside it, as in `"postgres://app:${{ secrets.db }}@host"`. */
export interface SecretText {
  readonly $text: readonly (string | SecretRef)[];
}

/** What settings and outputs are made of after expressions were evaluated: JSON with secret leaves. */
export type Value =
  | string
  | number
  | boolean
  | null
  | SecretRef
  | SecretText
  | readonly Value[]
  | { readonly [key: string]: Value };

export type Values = Readonly<Record<string, Value>>;

export function isSecretRef(value: unknown): value is SecretRef {
  return (
    typeof value === "object" &&
    value !== null &&
    "$secret" in value &&
    typeof value.$secret === "string"
  );
}

export function isSecretText(value: unknown): value is SecretText {
  return (
    typeof value === "object" && value !== null && "$text" in value && Array.isArray(value.$text)
  );
}

export function isValueList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** Every secret reference within a value, in order of appearance. */
export function secretsOf(value: Value): readonly SecretRef[] {
  if (value === null || typeof value !== "object") return [];
  if (isSecretRef(value)) return [value];
  if (isSecretText(value)) return value.$text.filter((part) => isSecretRef(part));
  if (isValueList(value)) return value.flatMap((item) => secretsOf(item));
  return Object.values(value).flatMap((item) => secretsOf(item));
}

/** The value with each secret leaf replaced: for display (a mask), for hashing (the fingerprint), for use (the plain value). */
export function replaceSecrets(value: Value, replace: (secret: SecretRef) => string): Json {
  if (value === null || typeof value !== "object") return value;
  if (isSecretRef(value)) return replace(value);
  if (isSecretText(value)) {
    return value.$text.map((part) => (isSecretRef(part) ? replace(part) : part)).join("");
  }
  if (isValueList(value)) return value.map((item) => replaceSecrets(item, replace));
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, replaceSecrets(item, replace)]),
  );
}

export const secretMask = "(secret)";

/** The form that answers, events and logs show. */
export function maskSecrets(value: Value): Json {
  return replaceSecrets(value, () => secretMask);
}

/** The context that a sealed value is bound to: a row moved to another owner or name does not open. */
export function sealContext(environmentId: string, name: string): string {
  return `${environmentId}/${name}`;
}

/** A value as text: strings as they are, everything else as JSON writes it, secrets masked. */
export function textOf(value: Value): string {
  const json = maskSecrets(value);
  return typeof json === "string" ? json : JSON.stringify(json);
}

/** Values as one text for comparing, secrets by fingerprint. */
export function comparable(values: Value): string {
  return canonicalJson(replaceSecrets(values, (secret) => secret.fingerprint));
}
