import type { Environment } from "../domain/environment.ts";
import { evaluate, referencesOf, type Scope } from "../domain/expression.ts";
import type { GroupRecord } from "../domain/record.ts";
import type { OwnedSecret } from "../domain/secret.ts";
import type { TemplateBody } from "../domain/template.ts";
import { textOf, type Values } from "../domain/value.ts";
import type { EnvironmentState } from "./run-cache.ts";
import { scopeOf } from "./step-inputs.ts";

/** The scope in which checks, outputs and entrypoints are evaluated: everything that was delivered, entrypoints too. */
export function deliveredScope(
  facts: EnvironmentState,
  records: readonly GroupRecord[],
  secrets: readonly OwnedSecret[] = [],
): Scope {
  const scope = scopeOf(facts, records, secrets);
  const entrypoints = Object.entries(facts.template.body.entrypoints).map(
    ([name, { url }]) => [name, { url: textOf(evaluate(url, scope)) }] as const,
  );
  return { ...scope, entrypoints: Object.fromEntries(entrypoints) };
}

/** The groups that entrypoints and outputs name: of a large environment a few. Nothing else of it is needed for `delivered`. */
export function deliveringGroups({
  entrypoints,
  outputs,
}: Pick<TemplateBody, "entrypoints" | "outputs">): readonly string[] {
  const read = referencesOf([Object.values(entrypoints).map(({ url }) => url), outputs]);
  const groups = read.filter(({ kind }) => kind === "group").map(({ name }) => name);
  return [...new Set(groups)];
}

/** Entrypoints and outputs of the environment, from the records of its `deliveringGroups`. */
export function delivered(
  facts: EnvironmentState,
  records: readonly GroupRecord[],
  secrets: readonly OwnedSecret[],
): Pick<Environment, "entrypoints" | "outputs"> {
  const scope = deliveredScope(facts, records, secrets);
  const { body } = facts.template;
  const entrypoints = Object.entries(body.entrypoints).map(
    ([name, { description }]) =>
      [name, { url: scope.entrypoints[name]?.url ?? "", description }] as const,
  );
  const outputs: Values = Object.fromEntries(
    Object.entries(body.outputs).map(([name, value]) => [name, evaluate(value, scope)]),
  );
  return { entrypoints: Object.fromEntries(entrypoints), outputs };
}
