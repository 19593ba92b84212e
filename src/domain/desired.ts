import type { Environment } from "./environment.ts";
import { GlasshouseError } from "./errors.ts";
import { evaluate, type Scope } from "./expression.ts";
import type { Parameter, TemplateBody } from "./template.ts";
import type { Values } from "./value.ts";

/** The parameters an environment has: what was given, else the default. Those without either are absent. */
export function effectiveParameters(
  declared: Readonly<Record<string, Parameter>>,
  given: Values,
): Values {
  const pairs = Object.entries(declared).flatMap(([name, parameter]) => {
    const value = given[name] ?? parameter.default;
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(pairs);
}

/** What expressions may name of the environment itself. */
export type EnvironmentFacts = Pick<Environment, "id" | "name" | "tags">;

export interface RequiredEnvironment {
  /** Its name, evaluated. */
  readonly name: string;
  /** The outputs that must exist. */
  readonly outputs: readonly string[];
}

/** The environments that a template requires with these parameters, by their key under `requires`. */
export function requiredEnvironments(
  body: TemplateBody,
  parameters: Values,
  environment: EnvironmentFacts,
): ReadonlyMap<string, RequiredEnvironment> {
  const scope: Scope = {
    parameters,
    environment,
    groups: {},
    requires: {},
    entrypoints: {},
    declared: body.parameters,
  };
  const found = new Map<string, RequiredEnvironment>();
  for (const [key, requirement] of Object.entries(body.requires)) {
    if (requirement.kind !== "environment") continue;
    found.set(key, {
      name: evaluatedText(requirement.environment, scope),
      outputs: requirement.outputs,
    });
  }
  return found;
}

/** Evaluates a text that must come out as one. Errors: `step-failed` when it is something else. */
export function evaluatedText(text: string, scope: Scope): string {
  const value = evaluate(text, scope);
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return String(value);
  throw new GlasshouseError(
    "step-failed",
    `"${text}" gives no text but ${value === null ? "null" : typeof value}; use an expression that gives a string.`,
  );
}
