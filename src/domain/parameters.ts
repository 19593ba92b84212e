import { canonicalJson } from "../lib/json.ts";
import type { Json } from "../lib/json.ts";
import { nearest } from "../lib/nearest.ts";
import type { ErrorDetail } from "./errors.ts";
import { valueMistakes } from "./parameter-rules.ts";
import type { Parameter } from "./template.ts";
import { isSecretRef, isSecretText, isValueList } from "./value.ts";
import type { SecretRef, Value, Values } from "./value.ts";

export interface ParametersInput {
  readonly declared: Readonly<Record<string, Parameter>>;
  /** What this command names, plain: secret parameters are sealed after this check. */
  readonly given: Values;
  /** Absent at create. At update and when the version changes: what was kept before. */
  readonly previous?: {
    /** Kept values without defaults; secret ones are references. */
    readonly given: Values;
    /** The declarations they were checked against; those of now when absent. */
    readonly declared?: Readonly<Record<string, Parameter>>;
  };
  /** Names that return to their default. */
  readonly reset?: readonly string[];
  /**
   * Takes references in `given`, for values that this service sealed itself. Never for what came from outside: a caller
   * could name somebody else's secret.
   */
  readonly references?: boolean;
  /** Compares a plain secret with a kept one; without it a secret that is given anew counts as changed. */
  readonly isSame?: (kept: SecretRef, plain: string) => boolean;
}

export interface ParametersOutcome {
  /** Every parameter that has a value, defaults filled in. */
  readonly values: Values;
  /** What to keep: given now or before, without defaults. */
  readonly given: Values;
  /** Kept before, but unknown to these declarations (the version changed): no longer in `given`. */
  readonly dropped: readonly string[];
  /** Empty when everything fits; then, and only then, the values may be used. */
  readonly problems: readonly ErrorDetail[];
}

/**
 * Checks parameters against their declarations: at create, update and change of version. Names what is wrong and what
 * would be right, all mistakes at once; never shows the value of a secret. Pure and safe to repeat.
 */
export function checkParameters(input: ParametersInput): ParametersOutcome {
  const { declared } = input;
  const before = input.previous?.given ?? {};
  const reset = new Set(input.reset);
  const problems = [...unknownNames(input), ...bothGivenAndReset(input)];
  const dropped = Object.keys(before).filter((name) => !Object.hasOwn(declared, name));
  const given: [string, Value][] = [];
  const values: [string, Value][] = [];
  for (const [name, parameter] of Object.entries(declared)) {
    const fresh = own(input.given, name);
    const old = reset.has(name) ? undefined : own(before, name);
    // Not `??`: null is a value here, and a wrong one.
    const kept = fresh === undefined ? old : fresh;
    if (kept !== undefined) given.push([name, kept]);
    const value = kept === undefined ? parameter.default : kept;
    if (value !== undefined) values.push([name, value]);
    const found =
      value === undefined
        ? [missing(name, parameter)]
        : [
            ...misfits({ name, parameter, value, input }),
            ...frozen({ name, parameter, value, input }),
          ];
    for (const message of found) problems.push({ message, pointer: pointerTo(name) });
  }
  return {
    values: Object.fromEntries(values),
    given: Object.fromEntries(given),
    dropped,
    problems,
  };
}

function own(values: Values, name: string): Value | undefined {
  return Object.hasOwn(values, name) ? values[name] : undefined;
}

function unknownNames({ declared, given, reset }: ParametersInput): ErrorDetail[] {
  const names = new Set([...Object.keys(given), ...(reset ?? [])]);
  return [...names]
    .filter((name) => !Object.hasOwn(declared, name))
    .map((name) => {
      const known = Object.keys(declared);
      const near = nearest(name, known);
      const list = known.length === 0 ? "it has none." : `it has ${known.slice(0, 12).join(", ")}.`;
      const hint = near === null ? list : `did you mean ${near}?`;
      return {
        message: `The template has no parameter ${name}: ${hint}`,
        pointer: pointerTo(name),
      };
    });
}

function bothGivenAndReset({ given, reset }: ParametersInput): ErrorDetail[] {
  return (reset ?? [])
    .filter((name) => Object.hasOwn(given, name))
    .map((name) => ({
      message: `The parameter ${name} is given and reset at once: do one of the two.`,
      pointer: pointerTo(name),
    }));
}

function missing(name: string, parameter: Parameter): string {
  const about = parameter.description === "" ? "" : ` (${parameter.description})`;
  return `The parameter ${name} is required${about}: give it ${article(parameter.type)}.`;
}

function article(type: Parameter["type"]): string {
  return type === "integer" ? "an integer" : `a ${type}`;
}

interface OneValue {
  readonly name: string;
  readonly parameter: Parameter;
  readonly value: Value;
  readonly input: ParametersInput;
}

function misfits({ name, parameter, value, input }: OneValue): readonly string[] {
  const kept = own(input.given, name) === undefined;
  if (parameter.secret && isSecretRef(value) && (kept || input.references === true)) return [];
  const plain = plainJson(value);
  if (plain === null) {
    return [
      `The parameter ${name} holds a reference to a secret: give the plain value, it is sealed on its way in.`,
    ];
  }
  const from =
    kept && own(input.previous?.given ?? {}, name) !== undefined
      ? " (kept from before; give it anew)"
      : "";
  return valueMistakes(parameter, plain.json).map(
    (mistake) => `The parameter ${name} ${mistake}${from}.`,
  );
}

/** The value as JSON, or null when anything in it claims to be a sealed secret. */
function plainJson(value: Value): { readonly json: Json } | null {
  if (isSecretRef(value) || isSecretText(value)) return null;
  if (isValueList(value)) {
    const items = value.map((item) => plainJson(item)?.json);
    const known = items.filter((item) => item !== undefined);
    return known.length === items.length ? { json: known } : null;
  }
  if (typeof value !== "object" || value === null) return { json: value };
  const members: [string, Json][] = [];
  for (const [key, item] of Object.entries(value)) {
    const plain = key === "$secret" || key === "$text" ? null : plainJson(item);
    if (plain === null) return null;
    members.push([key, plain.json]);
  }
  return { json: Object.fromEntries(members) };
}

function frozen({ name, parameter, value, input }: OneValue): readonly string[] {
  if (!parameter.immutable || input.previous === undefined) return [];
  const earlier = input.previous.declared ?? input.declared;
  const fallback = Object.hasOwn(earlier, name) ? earlier[name]?.default : undefined;
  const before = own(input.previous.given, name) ?? fallback;
  if (before === undefined || same(before, value, input)) return [];
  if (parameter.secret)
    return [
      `The parameter ${name} cannot be changed once the environment exists: leave it out, or create another environment.`,
    ];
  const plain = plainJson(before);
  const shown = plain === null ? "" : ` it stays ${JSON.stringify(plain.json)};`;
  return [
    `The parameter ${name} cannot be changed once the environment exists:${shown} create another environment for another value.`,
  ];
}

function same(before: Value, now: Value, input: ParametersInput): boolean {
  if (isSecretRef(before)) {
    if (isSecretRef(now)) return before.fingerprint === now.fingerprint;
    return typeof now === "string" && input.isSame?.(before, now) === true;
  }
  const [left, right] = [plainJson(before), plainJson(now)];
  return left !== null && right !== null && canonicalJson(left.json) === canonicalJson(right.json);
}

function pointerTo(name: string): string {
  return `/parameters/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}
