import type { Json } from "../lib/json.ts";
import { isJsonObject } from "../lib/json.ts";
import { GlasshouseError } from "./errors.ts";
import { fromCel, isSealed, toCel } from "./expression-value.ts";
import { eachText, shiftRange } from "./expression-walk.ts";
import { programOf, summaryOf, WorkExceeded } from "./expression-program.ts";
import { parseText } from "./expression-text.ts";
import type { Segment } from "./expression-text.ts";
import type { Reference } from "./expression-syntax.ts";
import type { Parameter, Tags } from "./template.ts";
import { isSecretRef, isSecretText, secretsOf } from "./value.ts";
import type { SecretRef, Value, Values } from "./value.ts";

export { checkExpressions, newExpressionChecker } from "./expression-check.ts";
export { parseText } from "./expression-text.ts";
export type { ParsedText } from "./expression-text.ts";
export type { Reference } from "./expression-syntax.ts";

/** What expressions may read when they are evaluated. */
export interface Scope {
  readonly parameters: Values;
  readonly environment: { readonly id: string; readonly name: string; readonly tags: Tags };
  /** Groups that were applied, with the outputs they declare. */
  readonly groups: Readonly<Record<string, { readonly outputs: Values }>>;
  readonly requires: Readonly<Record<string, { readonly outputs: Values }>>;
  readonly entrypoints: Readonly<Record<string, { readonly url: string }>>;
  /** Declared secrets that were made; none where they may not be used. */
  readonly secrets?: Readonly<Record<string, SecretRef>>;
  /** Declared certificates that were issued, each by its parts. */
  readonly certificates?: Readonly<Record<string, Readonly<Record<string, SecretRef>>>>;
  /** The parameters' declarations: with them a `number` that happens to be whole still divides as a number. */
  readonly declared?: Readonly<Record<string, Pick<Parameter, "type" | "items">>>;
}

/** Every reference of every expression within a settings tree, with the JSON pointer of the string that holds it. */
export function referencesOf(value: Json): readonly (Reference & { readonly pointer: string })[] {
  const found: (Reference & { readonly pointer: string })[] = [];
  eachText(value, (text, pointer) => {
    for (const segment of parseText(text).segments) {
      if (segment.kind === "text") continue;
      for (const reference of programOf(segment.source).references) {
        found.push({ ...shiftRange(reference, segment.start), pointer });
      }
    }
  });
  return found;
}

/**
 * Fills in every expression of a tree. A string that is one expression keeps its type; otherwise the result is text.
 * Secrets come back as references, or as text with references inside, never as plain values. Errors: `step-failed`,
 * naming the expression, when it has mistakes, reads what is not there, or does anything with a secret but hand it on.
 */
export function evaluate(value: Json, scope: Scope): Value {
  if (typeof value === "string") return evaluateText(value, scope);
  if (Array.isArray(value)) return value.map((item: Json) => evaluate(item, scope));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, evaluate(item, scope)]),
  );
}

function evaluateText(text: string, scope: Scope): Value {
  const { segments, whole, mistake } = parseText(text);
  if (mistake !== null) throw fault(text, mistake.message);
  const first = segments[0];
  if (first === undefined) return "";
  if (whole && first.kind === "expression") return evaluateSource(first.source, scope);
  return joinParts(segments.map((segment) => partOf(segment, scope)));
}

function partOf(segment: Segment, scope: Scope): string | readonly (string | SecretRef)[] {
  if (segment.kind === "text") return segment.text;
  const value = evaluateSource(segment.source, scope);
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return JSON.stringify(value);
  if (isSecretRef(value)) return [value];
  if (isSecretText(value)) return value.$text;
  const what = value === null ? "null" : Array.isArray(value) ? "a list" : "a map";
  throw fault(
    segment.source,
    `it gives ${what}, which cannot stand inside a text: give a string, number or boolean`,
  );
}

function joinParts(parts: readonly (string | readonly (string | SecretRef)[])[]): Value {
  const joined: (string | SecretRef)[] = [];
  for (const part of parts.flat()) {
    const last = joined.at(-1);
    if (typeof part === "string" && typeof last === "string")
      joined[joined.length - 1] = last + part;
    else if (part !== "") joined.push(part);
  }
  const first = joined[0];
  if (first === undefined) return "";
  return joined.length === 1 && typeof first === "string" ? first : { $text: joined };
}

function evaluateSource(source: string, scope: Scope): Value {
  const program = programOf(source);
  const mistake = program.mistakes[0];
  if (mistake !== undefined) throw fault(source, mistake.message);
  try {
    const context = contextOf(program.references, { scope, source });
    return fromCel(program.run(context));
  } catch (error) {
    if (error instanceof GlasshouseError) throw error;
    const reason = error instanceof WorkExceeded ? error.message : summaryOf(error);
    throw fault(source, reason, error);
  }
}

/** Only what the references name is turned into CEL values: the rest of a large scope costs nothing. */
function contextOf(
  references: readonly Reference[],
  at: { readonly scope: Scope; readonly source: string },
): Record<string, unknown> {
  const context: Record<string, Map<string, unknown>> = {};
  const root = (name: string): Map<string, unknown> => (context[name] ??= new Map());
  for (const reference of references) {
    refuseUseOfSecret(reference, at);
    const { kind, name } = reference;
    if (kind === "parameter") root("parameters").set(name, parameterOf(name, at.scope));
    else if (kind === "environment")
      root("environment").set(name, toCel(environmentOf(name, at.scope)));
    else if (kind === "group") addOutputs(root("groups"), reference, at.scope.groups);
    else if (kind === "requires") addOutputs(root("requires"), reference, at.scope.requires);
    else if (kind === "secret" && at.scope.secrets?.[name] !== undefined)
      root("secrets").set(name, toCel(at.scope.secrets[name]));
    else if (kind === "certificate" && at.scope.certificates?.[name] !== undefined)
      root("certificates").set(name, toCel(at.scope.certificates[name]));
    else if (kind === "entrypoint" && Object.hasOwn(at.scope.entrypoints, name)) {
      root("entrypoints").set(name, toCel({ url: at.scope.entrypoints[name]?.url ?? "" }));
    } else throw fault(at.source, `${describe(reference)} is not there`);
  }
  return context;
}

function parameterOf(name: string, scope: Scope): unknown {
  if (!Object.hasOwn(scope.parameters, name)) throw new Error(`the parameter ${name} has no value`);
  const declared =
    scope.declared !== undefined && Object.hasOwn(scope.declared, name)
      ? scope.declared[name]
      : undefined;
  const doubles = declared?.type === "number" || declared?.items === "number";
  return toCel(scope.parameters[name] ?? null, doubles);
}

function environmentOf(name: string, scope: Scope): Value {
  if (name === "tags") return scope.environment.tags;
  return name === "id" ? scope.environment.id : scope.environment.name;
}

function addOutputs(
  root: Map<string, unknown>,
  reference: Reference,
  sources: Readonly<Record<string, { readonly outputs: Values }>>,
): void {
  const { name, output } = reference;
  const source = Object.hasOwn(sources, name) ? sources[name] : undefined;
  if (source === undefined) throw new Error(`the outputs of ${name} are not known`);
  const present = root.get(name);
  const member =
    present instanceof Map ? present : new Map([["outputs", new Map<string, unknown>()]]);
  root.set(name, member);
  const outputs: unknown = member.get("outputs");
  if (!(outputs instanceof Map)) return;
  const wanted = output === undefined ? Object.keys(source.outputs) : [output];
  for (const key of wanted) {
    if (Object.hasOwn(source.outputs, key)) outputs.set(key, toCel(source.outputs[key] ?? null));
  }
}

/** Sensitive outputs are known to be secret only now, so the rule of registration is kept here once more. */
function refuseUseOfSecret(
  reference: Reference,
  { scope, source }: { readonly scope: Scope; readonly source: string },
): void {
  if (reference.passed) return;
  const value = valueAt(reference, scope);
  if (value === undefined || (!isSealed(value) && secretsOf(value).length === 0)) return;
  const message = `${describe(reference)} is secret: it may only be handed on whole or stand inside a text, not be compared, joined or measured`;
  throw fault(source, message);
}

function valueAt(reference: Reference, scope: Scope): Value | undefined {
  const [, ...rest] = reference.path;
  const begin = startOf(reference, scope);
  const members =
    reference.kind === "group" || reference.kind === "requires" ? rest.slice(1) : rest;
  let value: Value | undefined = begin;
  for (const member of members) {
    if (typeof value !== "object" || value === null || isSealed(value)) return value;
    value = Object.hasOwn(value, member) ? new Map(Object.entries(value)).get(member) : undefined;
  }
  return value;
}

function startOf(reference: Reference, scope: Scope): Value | undefined {
  const { kind, name } = reference;
  if (kind === "parameter")
    return Object.hasOwn(scope.parameters, name) ? scope.parameters[name] : undefined;
  if (kind === "secret") return scope.secrets?.[name];
  if (kind === "certificate") return scope.certificates?.[name];
  if (kind !== "group" && kind !== "requires") return undefined;
  const sources = kind === "group" ? scope.groups : scope.requires;
  return Object.hasOwn(sources, name) ? sources[name]?.outputs : undefined;
}

function describe(reference: Reference): string {
  const roots = {
    parameter: "parameters",
    group: "groups",
    secret: "secrets",
    certificate: "certificates",
    entrypoint: "entrypoints",
  } as const;
  const { kind } = reference;
  const root = kind === "environment" || kind === "requires" ? kind : roots[kind];
  return [root, ...reference.path].join(".");
}

function fault(source: string, reason: string, cause?: unknown): GlasshouseError {
  const shown = source.trim().length > 120 ? `${source.trim().slice(0, 117)}…` : source.trim();
  return new GlasshouseError("step-failed", `The expression \`${shown}\` failed: ${reason}.`, {
    cause,
  });
}
