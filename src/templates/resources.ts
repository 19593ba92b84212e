import { nearest } from "../lib/nearest.ts";
import type { Check } from "../domain/check.ts";
import type { ExpressionRules } from "../domain/expression-check.ts";
import type { ReferenceKind } from "../domain/expression-syntax.ts";
import type { ResourceTemplate } from "../domain/template.ts";
import type { GroupFile } from "../contract/template.ts";
import { compileCheck } from "./checks.ts";
import { checkText, refuseExpression, scalarTypes } from "./context.ts";
import type { Context, PlacedReference } from "./context.ts";
import type { Path, Spot } from "./problem.ts";

type ResourceFile = NonNullable<GroupFile["resources"]>[string];

export interface CompiledResources {
  readonly resources: Readonly<Record<string, ResourceTemplate>>;
  readonly references: readonly PlacedReference[];
  /** Groups that these resources' dependencies lead to. */
  readonly edges: readonly (readonly [string, Spot])[];
}

/** Entrypoints are known only after all groups, so resources cannot use them. */
const kinds: readonly ReferenceKind[] = ["parameter", "environment", "group", "requires"];

/** Checks the resources of one group. */
export function compileResources(
  context: Context,
  group: string,
  files: Readonly<Record<string, ResourceFile>>,
): CompiledResources {
  const resources: [string, ResourceTemplate][] = [];
  const references: PlacedReference[] = [];
  const edges: (readonly [string, Spot])[] = [];
  for (const [key, file] of Object.entries(files)) {
    const path: Path = ["groups", group, "resources", key];
    const found: PlacedReference[] = [];
    resources.push([key, compileResource(context, file, { key, path, found })]);
    for (const reference of found) references.push(reference);
    for (const edge of resourceEdges(context, file, { group, key, path })) edges.push(edge);
  }
  return { resources: Object.fromEntries(resources), references, edges };
}

interface At {
  readonly key: string;
  readonly path: Path;
  /** What the resource's expressions read is added here. */
  readonly found: PlacedReference[];
}

function compileResource(context: Context, file: ResourceFile, at: At): ResourceTemplate {
  refuseExpression(context, file.name, [...at.path, "name"]);
  refuseExpression(context, file.description, [...at.path, "description"]);
  const text = (
    value: unknown,
    part: Path,
    rules: Pick<ExpressionRules, "where" | "expected">,
  ): void => {
    if (typeof value !== "string") return;
    const path = [...at.path, ...part];
    const { references } = checkText(context, value, {
      path,
      rules: { ...rules, secrets: false, kinds },
    });
    for (const reference of references) at.found.push({ ...reference, path });
  };
  text(file.count, ["count"], { where: "count", expected: ["integer"] });
  for (const [tag, value] of Object.entries(file.tags ?? {}))
    text(value, ["tags", tag], { where: "a tag", expected: scalarTypes });
  for (const [link, value] of Object.entries(file.links ?? {}))
    text(value, ["links", link], { where: "a link", expected: ["string"] });
  return {
    name: file.name ?? at.key,
    description: file.description ?? "",
    tags: file.tags ?? {},
    count: file.count ?? 1,
    links: file.links ?? {},
    checks: compileChecks(context, file, at),
    dependsOn: [...new Set(file.dependsOn)],
  };
}

function compileChecks(
  context: Context,
  file: ResourceFile,
  at: At,
): Readonly<Record<string, Check>> {
  const checks = Object.entries(file.checks ?? {}).map(([name, one]) => {
    const { check, references } = compileCheck(context, one, {
      path: [...at.path, "checks", name],
      kinds,
    });
    for (const reference of references) at.found.push(reference);
    return [name, check] as const;
  });
  return Object.fromEntries(checks);
}

function resourceEdges(
  context: Context,
  file: ResourceFile,
  at: { readonly group: string; readonly key: string; readonly path: Path },
): readonly (readonly [string, Spot])[] {
  return (file.dependsOn ?? []).flatMap((target, index) => {
    const spot = { path: [...at.path, "dependsOn", index] };
    const [owner, name] = target.split(".");
    const mistake =
      target === `${at.group}.${at.key}`
        ? "a resource cannot depend on itself: remove it"
        : targetMistake(context, target);
    if (mistake !== null) context.problems.add(spot, mistake);
    if (mistake !== null || owner === undefined || owner === "requires" || name === undefined)
      return [];
    return [[owner, spot] as const];
  });
}

function targetMistake(context: Context, target: string): string | null {
  const right = "write group.resource, or requires.name for an external one";
  if (target.includes("${{"))
    return "expressions are not allowed in dependsOn: write the resource out";
  const [owner, name, more] = target.split(".");
  if (owner === undefined || name === undefined || more !== undefined)
    return `${JSON.stringify(target)} names no resource: ${right}`;
  const { groups, requires = {} } = context.template;
  if (owner === "requires") {
    return Object.hasOwn(requires, name)
      ? null
      : `there is no requirement ${name}: ${didYouMean(name, requires, "declare it under requires")}`;
  }
  const group = Object.hasOwn(groups, owner) ? groups[owner] : undefined;
  if (group === undefined) return `there is no group ${owner}: ${didYouMean(owner, groups, right)}`;
  const resources = group.resources ?? {};
  if (Object.hasOwn(resources, name)) return null;
  return `the group ${owner} has no resource ${name}: ${didYouMean(name, resources, "declare it under its resources")}`;
}

function didYouMean(
  name: string,
  known: Readonly<Record<string, unknown>>,
  otherwise: string,
): string {
  const near = nearest(name, Object.keys(known));
  return near === null ? otherwise : `did you mean ${near}?`;
}
