import { evaluate, type Scope } from "../domain/expression.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { resourceEventData } from "../domain/event-data.ts";
import type { NewEvent } from "../domain/event.ts";
import type { Resource } from "../domain/resource.ts";
import type { Step } from "../domain/step.ts";
import type { Group } from "../domain/template.ts";
import { textOf, type Values } from "../domain/value.ts";
import { canonicalJson, toJson, type Json } from "../lib/json.ts";
import type { EngineDeps } from "./deps.ts";
import type { RunFacts } from "./run-cache.ts";
import { timestamp } from "../ports/clock.ts";
import { scopeOf, type StepInputs } from "./step-inputs.ts";

interface Making {
  readonly facts: RunFacts;
  readonly step: Step;
  readonly inputs: StepInputs;
  readonly group: Group;
  /** What the group has just delivered. */
  readonly outputs: Values;
}

/** The resources of a group as its template declares them, with counts, tags and links filled in. */
export function groupResources(deps: Pick<EngineDeps, "clock">, of: Making): readonly Resource[] {
  const { facts, step, group, outputs } = of;
  const groupName = step.group ?? "";
  const known = of.inputs.scope ?? scopeOf(facts, []);
  const scope: Scope = { ...known, groups: { ...known.groups, [groupName]: { outputs } } };
  const now = timestamp(deps.clock);
  return Object.entries(group.resources).map(([key, declared]) => ({
    id: deps.clock.id("resource"),
    environmentId: facts.environment.id,
    templateId: facts.template.id,
    template: step.template,
    group: groupName,
    key,
    name: declared.name,
    description: declared.description,
    tags: texts(declared.tags, scope),
    count: countOf(declared.count, scope, `${groupName}.${key}`),
    status: "present",
    links: texts(declared.links, scope),
    checks: Object.keys(declared.checks).map((check) => `${groupName}.${key}.${check}`),
    dependsOn: declared.dependsOn.filter((name) => !name.startsWith("requires.")),
    external: declared.dependsOn
      .filter((name) => name.startsWith("requires."))
      .map((name) => name.slice("requires.".length)),
    createdAt: now,
    updatedAt: now,
  }));
}

/** One event for each resource that came, changed or went. */
export function resourceEvents(of: {
  readonly facts: RunFacts;
  readonly step: Step;
  readonly before: readonly Resource[];
  readonly after: readonly Resource[];
}): readonly NewEvent[] {
  const { facts, step } = of;
  const about = {
    environmentId: facts.environment.id,
    subject: `environments/${facts.environment.name}`,
    runId: facts.run.id,
    stepId: step.id,
  };
  const known = new Map(of.before.map((resource) => [resource.key, resource]));
  const kept = new Set(of.after.map((resource) => resource.key));
  const came = of.after.flatMap((resource): readonly NewEvent[] => {
    const old = known.get(resource.key);
    if (old === undefined)
      return [{ ...about, type: "resource.created", data: resourceEventData(resource) }];
    if (essence(old) === essence(resource)) return [];
    return [
      {
        ...about,
        type: "resource.changed",
        data: resourceEventData({ ...resource, id: old.id, createdAt: old.createdAt }),
      },
    ];
  });
  const went = of.before
    .filter((resource) => !kept.has(resource.key))
    .map((resource): NewEvent => ({
      ...about,
      type: "resource.removed",
      data: resourceEventData({ ...resource, status: "removed" }),
    }));
  return [...came, ...went];
}

/** What makes a resource another: everything but its id and dates. */
function essence(resource: Resource): string {
  return canonicalJson(
    toJson({ ...resource, id: "", templateId: "", createdAt: "", updatedAt: "" }),
  );
}

function texts(values: Readonly<Record<string, Json>>, scope: Scope): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, textOf(evaluate(value, scope))]),
  );
}

function countOf(count: Json, scope: Scope, name: string): number {
  const value = evaluate(count, scope);
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw new GlasshouseError(
    "step-failed",
    `The count of resource ${name} must come out as a whole number from 0, but is ${textOf(value)}.`,
  );
}
