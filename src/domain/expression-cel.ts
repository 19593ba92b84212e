import { Environment } from "@marcbachmann/cel-js";
import type { SecretRef, SecretText } from "./value.ts";

/** What a secret looks like inside CEL: something without members, operators or a text form. */
export class SealedValue {
  readonly #secret: SecretRef | SecretText;

  constructor(secret: SecretRef | SecretText) {
    this.#secret = secret;
  }

  get secret(): SecretRef | SecretText {
    return this.#secret;
  }
}

/** The CEL name of secrets' type, as it appears in messages. */
export const secretType = "Secret";

/** Names that expressions begin with. */
export const roots = [
  "parameters",
  "environment",
  "groups",
  "requires",
  "secrets",
  "certificates",
  "entrypoints",
] as const;
export type Root = (typeof roots)[number];

export function isRoot(name: string): name is Root {
  return roots.some((root) => root === name);
}

/**
 * Functions without side effects, of bounded cost, that give the same result everywhere. Left out on purpose:
 * `matches` (JavaScript's regular expressions have no bound), times and zones (they depend on the machine), bytes.
 */
export const callableFunctions: ReadonlySet<string> = new Set([
  "size",
  "int",
  "double",
  "string",
  "bool",
  "has",
]);
export const callableMethods: ReadonlySet<string> = new Set([
  "startsWith",
  "endsWith",
  "contains",
  "lowerAscii",
  "upperAscii",
  "trim",
  "indexOf",
  "lastIndexOf",
  "substring",
  "split",
  "join",
  "size",
]);

/** Methods that loop over a list. Their first argument names the item. */
export const loopMethods: ReadonlySet<string> = new Set([
  "map",
  "filter",
  "all",
  "exists",
  "exists_one",
]);

/**
 * An environment with the rules that checking and evaluating share. Integers meet doubles as they do in JSON, where
 * `3` and `3.0` are one number: mixed arithmetic gives a double.
 */
export function newCelEnvironment(): Environment {
  const environment = new Environment({
    homogeneousAggregateLiterals: false,
    limits: { maxAstNodes: 1_000, maxDepth: 50, maxListElements: 500, maxMapEntries: 500 },
  });
  environment.registerType(secretType, SealedValue);
  registerMixed(environment, "+", (left, right) => left + right);
  registerMixed(environment, "-", (left, right) => left - right);
  registerMixed(environment, "*", (left, right) => left * right);
  registerMixed(environment, "/", (left, right) => left / right);
  environment.registerOperator(
    "double == int",
    (left: unknown, right: unknown) => Number(left) === Number(right),
  );
  return environment;
}

function registerMixed(
  environment: Environment,
  operator: string,
  combine: (left: number, right: number) => number,
): void {
  const handler = (left: unknown, right: unknown): number => combine(Number(left), Number(right));
  environment.registerOperator(`int ${operator} double: double`, handler);
  environment.registerOperator(`double ${operator} int: double`, handler);
}
