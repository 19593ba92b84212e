import type { Environment } from "@marcbachmann/cel-js";
import type { Json } from "../lib/json.ts";
import { nearest } from "../lib/nearest.ts";
import { certificateParts } from "./certificate.ts";
import { newCelEnvironment, secretType } from "./expression-cel.ts";
import { parseMistake, rangeOf, summaryOf } from "./expression-program.ts";
import { analyse } from "./expression-syntax.ts";
import type { Reference, ReferenceKind } from "./expression-syntax.ts";
import { parseText } from "./expression-text.ts";
import type { TextMistake } from "./expression-text.ts";
import { eachText, shiftRange } from "./expression-walk.ts";
import type { Parameter } from "./template.ts";

/** What a template declares, as far as expressions may name it. */
export interface Declarations {
  readonly parameters: Readonly<Record<string, Pick<Parameter, "type" | "items" | "secret">>>;
  readonly groups: Readonly<Record<string, { readonly outputs: readonly string[] }>>;
  readonly requires: Readonly<Record<string, { readonly outputs: readonly string[] }>>;
  readonly entrypoints: Readonly<Record<string, unknown>>;
  /** Those it generates; none when absent. */
  readonly secrets?: Readonly<Record<string, unknown>>;
  /** Those that are issued for it; none when absent. */
  readonly certificates?: Readonly<Record<string, unknown>>;
}

/** What expressions at one place may do. */
export interface ExpressionRules {
  /** The place, for messages: "a URL", "a tag". */
  readonly where: string;
  /** Secrets may be handed to it. */
  readonly secrets: boolean;
  /** What may be read there; everything when absent. */
  readonly kinds?: readonly ReferenceKind[];
  /** What a string that is one expression may give; anything when absent. */
  readonly expected?: readonly ExpressionType[];
}

export type ExpressionType =
  | "string"
  | "integer"
  | "number"
  | "boolean"
  | "null"
  | "list"
  | "map"
  | "secret"
  /** Known only at run time. */
  | "any";

export interface CheckedText {
  readonly mistakes: readonly TextMistake[];
  readonly references: readonly Reference[];
  /** Of the whole string. */
  readonly type: ExpressionType;
}

export type ExpressionChecker = (text: string, rules: ExpressionRules) => CheckedText;

/**
 * Checks expressions against one template's declarations: syntax, references, types, use of secrets. Making the checker costs
 * in proportion to the parameters; groups and outputs cost nothing (they are looked up, not declared to CEL).
 */
export function newExpressionChecker(declarations: Declarations): ExpressionChecker {
  const environment = typedEnvironment(declarations);
  return (text, rules) => {
    const { segments, whole, mistake } = parseText(text);
    const mistakes: TextMistake[] = mistake === null ? [] : [mistake];
    const references: Reference[] = [];
    let type: ExpressionType = "string";
    for (const segment of segments) {
      if (segment.kind === "text") continue;
      const checked = checkSource(segment.source, { environment, declarations, rules, whole });
      type = checked.type;
      for (const item of checked.mistakes) mistakes.push(shiftRange(item, segment.start));
      for (const item of checked.references) references.push(shiftRange(item, segment.start));
    }
    return { mistakes, references, type: whole ? type : "string" };
  };
}

/** The mistakes of every expression within a settings tree, with the JSON pointer of the string. */
export function checkExpressions(
  value: Json,
  declarations: Declarations,
  rules: ExpressionRules,
): readonly (TextMistake & { readonly pointer: string })[] {
  const check = newExpressionChecker(declarations);
  const found: (TextMistake & { readonly pointer: string })[] = [];
  eachText(value, (text, pointer) => {
    for (const mistake of check(text, rules).mistakes) found.push({ ...mistake, pointer });
  });
  return found;
}

interface Surroundings {
  readonly environment: Environment;
  readonly declarations: Declarations;
  readonly rules: ExpressionRules;
  readonly whole: boolean;
}

function checkSource(source: string, around: Surroundings): CheckedText {
  try {
    const parsed = around.environment.parse(source);
    const { references, mistakes } = analyse(parsed.ast);
    const resolved = references.flatMap((reference) => resolve(reference, around));
    if (mistakes.length + resolved.length > 0) {
      return { mistakes: [...mistakes, ...resolved], references, type: "any" };
    }
    const result = parsed.check();
    if (!result.valid)
      return { mistakes: [typeMistake(result.error, source)], references, type: "any" };
    const type = typeOf(result.type ?? "dyn");
    const misfit = fitMistake(type, source, around);
    return { mistakes: misfit === null ? [] : [misfit], references, type: type ?? "any" };
  } catch (error) {
    return { mistakes: [parseMistake(error, source)], references: [], type: "any" };
  }
}

function resolve(reference: Reference, around: Surroundings): TextMistake[] {
  const message = missing(reference, around) ?? secretMisuse(reference, around);
  return message === null ? [] : [{ message, start: reference.start, end: reference.end }];
}

function missing(reference: Reference, { declarations, rules }: Surroundings): string | null {
  const { kind, name, output } = reference;
  if (rules.kinds !== undefined && !rules.kinds.includes(kind)) {
    return `${nouns[kind]} cannot be used in ${rules.where}: it may use ${rules.kinds.map((known) => plurals[known]).join(", ")}`;
  }
  if (kind === "environment") return null;
  const known = {
    parameter: declarations.parameters,
    group: declarations.groups,
    requires: declarations.requires,
    entrypoint: declarations.entrypoints,
    secret: declarations.secrets ?? {},
    certificate: declarations.certificates ?? {},
  }[kind];
  if (!Object.hasOwn(known, name)) return unknown(nouns[kind], name, known);
  if (kind === "certificate") return missingPart(reference);
  if ((kind !== "group" && kind !== "requires") || output === undefined) return null;
  const outputs = declarations[kind === "group" ? "groups" : "requires"][name]?.outputs ?? [];
  if (outputs.includes(output)) return null;
  return unknownOutput({ noun: nouns[kind], name, output }, outputs);
}

function missingPart({ name, output, path }: Reference): string | null {
  const parts: readonly string[] = certificateParts;
  const right = `write certificates.${name}.key, or another of its parts: ${parts.join(", ")}`;
  if (output === undefined) return `the certificate ${name} is not one value: ${right}`;
  if (!parts.includes(output)) {
    const near = nearest(output, parts);
    return `the certificate ${name} has no ${output}: ${near === null ? right : `did you mean ${near}?`}`;
  }
  return path.length > 2 ? `certificates.${name}.${output} has no members: hand it on whole` : null;
}

function unknown(noun: string, name: string, known: Readonly<Record<string, unknown>>): string {
  const near = nearest(name, Object.keys(known));
  const names = Object.keys(known);
  if (near !== null) return `there is no ${noun} ${name}: did you mean ${near}?`;
  if (names.length === 0) return `there is no ${noun} ${name}: the template declares none`;
  return `there is no ${noun} ${name}: declare it, or use one of ${listed(names)}`;
}

function unknownOutput(
  at: { readonly noun: string; readonly name: string; readonly output: string },
  outputs: readonly string[],
): string {
  const near = nearest(at.output, outputs);
  const hint = near === null ? `add ${at.output} to its outputs` : `did you mean ${near}?`;
  return `the ${at.noun} ${at.name} has no output ${at.output}: ${hint}`;
}

function listed(names: readonly string[]): string {
  return names.length <= 8 ? names.join(", ") : `${names.slice(0, 8).join(", ")}, …`;
}

function secretMisuse(reference: Reference, { declarations, rules }: Surroundings): string | null {
  const { kind, name } = reference;
  const isParameter = kind === "parameter" && declarations.parameters[name]?.secret === true;
  if (!isParameter && kind !== "secret" && kind !== "certificate") return null;
  const what = isParameter ? `the secret parameter ${name}` : `the ${nouns[kind]} ${name}`;
  if (kind !== "certificate" && reference.path.length > 1)
    return `${what} has no members: hand it on whole`;
  if (!rules.secrets) {
    return `${what} cannot be used in ${rules.where}: hand it to a setting that accepts secrets`;
  }
  if (reference.passed) return null;
  return `${what} may only be handed on whole or stand inside a text: do not compare, join or measure it`;
}

function typeMistake(error: unknown, source: string): TextMistake {
  const range = rangeOf(error) ?? { start: 0, end: source.length };
  return { message: `${summaryOf(error)}: ${hintOf(error)}`, ...range };
}

const hints: Readonly<Record<string, string>> = {
  no_such_overload: "make both sides one type with string(…), int(…) or double(…)",
  no_matching_overload: "check the arguments' number and types",
  incompatible_ternary_branches: "give both branches the same type",
  invalid_condition_type: "the condition must be true or false",
  invalid_logical_operand: "both sides must be true or false",
  cannot_index_type: "only maps and lists have members",
  invalid_comprehension_range: "loops go over lists and maps",
};

function hintOf(error: unknown): string {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : "";
  return (typeof code === "string" ? hints[code] : undefined) ?? "check the expression";
}

function fitMistake(
  type: ExpressionType | null,
  source: string,
  { rules, whole }: Surroundings,
): TextMistake | null {
  const range = { start: 0, end: source.length };
  if (type === null)
    return {
      message: "it gives something that is not JSON: give a string, number, boolean, list or map",
      ...range,
    };
  if (!whole) {
    if (type !== "list" && type !== "map" && type !== "null") return null;
    return {
      message: `a ${type} cannot stand inside a text: give a string, number or boolean`,
      ...range,
    };
  }
  if (rules.expected === undefined || type === "any") return null;
  const fits =
    rules.expected.includes(type) || (type === "integer" && rules.expected.includes("number"));
  if (fits) return null;
  const wanted = rules.expected.filter((one) => one !== "secret").join(" or ");
  const hint =
    wanted === "string" && (type === "integer" || type === "number" || type === "boolean")
      ? "; convert it with string(…)"
      : "";
  return { message: `${rules.where} must be ${wanted}, but this gives ${type}${hint}`, ...range };
}

function typedEnvironment(declarations: Declarations): Environment {
  const environment = newCelEnvironment();
  const fields: [string, string][] = Object.entries(declarations.parameters).map(
    ([name, parameter]) => [name, parameter.secret ? secretType : celType(parameter)],
  );
  environment.registerType("Parameters", { fields: Object.fromEntries(fields) });
  environment.registerType("EnvironmentFacts", {
    fields: { id: "string", name: "string", tags: "map<string, string>" },
  });
  environment.registerType("Entrypoint", { fields: { url: "string" } });
  environment.registerVariable("parameters", "Parameters");
  environment.registerVariable("environment", "EnvironmentFacts");
  environment.registerVariable("groups", "map<string, map<string, map<string, dyn>>>");
  environment.registerVariable("requires", "map<string, map<string, map<string, dyn>>>");
  environment.registerVariable("entrypoints", "map<string, Entrypoint>");
  environment.registerVariable("secrets", `map<string, ${secretType}>`);
  environment.registerVariable("certificates", `map<string, map<string, ${secretType}>>`);
  return environment;
}

const celTypes = {
  string: "string",
  integer: "int",
  number: "double",
  boolean: "bool",
  any: "dyn",
} as const;

function celType({ type, items }: Pick<Parameter, "type" | "items">): string {
  if (type === "list") return `list<${celTypes[items ?? "any"]}>`;
  return type === "map" ? `map<string, ${celTypes[items ?? "any"]}>` : celTypes[type];
}

/** Null for types that are no JSON. */
function typeOf(cel: string): ExpressionType | null {
  if (cel.startsWith("dyn")) return "any";
  if (cel.startsWith("list")) return "list";
  if (cel.startsWith("map")) return "map";
  return simpleTypes[cel] ?? null;
}

const simpleTypes: Readonly<Record<string, ExpressionType>> = {
  string: "string",
  int: "integer",
  double: "number",
  bool: "boolean",
  null: "null",
  [secretType]: "secret",
};

const nouns = {
  parameter: "parameter",
  environment: "environment",
  group: "group",
  requires: "requirement",
  secret: "secret",
  certificate: "certificate",
  entrypoint: "entrypoint",
} as const satisfies Record<ReferenceKind, string>;

const plurals = {
  parameter: "parameters",
  environment: "environment",
  group: "groups",
  requires: "requires",
  secret: "secrets",
  certificate: "certificates",
  entrypoint: "entrypoints",
} as const satisfies Record<ReferenceKind, string>;
