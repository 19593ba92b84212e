import { runsOnOfCheck, type Check } from "./check.ts";
import type { TemplateBody } from "./template.ts";

/** A check of a template, wherever it stands in it. */
export interface TemplateCheck {
  /** Its name; `group.resource.name` for those of resources, `requires.name` for those of external resources. */
  readonly key: string;
  readonly check: Check;
  /** The group whose resource it belongs to. */
  readonly group: string | null;
  /** Labels of the worker that looks. */
  readonly runsOn: readonly string[];
}

const ofRequirement = "requires";

/** All checks: of external resources, which come first as all else stands on them, of the environment, of resources. */
export function checksOf(body: TemplateBody): readonly TemplateCheck[] {
  const all: TemplateCheck[] = [];
  const add = (key: string, check: Check | undefined, name: string | null = null): void => {
    if (check === undefined) return;
    const group = name === null ? null : (body.groups[name] ?? null);
    all.push({ key, check, group: name, runsOn: runsOnOfCheck(check, group) });
  };
  for (const [name, requirement] of Object.entries(body.requires))
    if (requirement.kind === "external") add(`${ofRequirement}.${name}`, requirement.check);
  for (const [name, check] of Object.entries(body.checks)) add(name, check);
  for (const [name, group] of Object.entries(body.groups))
    for (const [resource, { checks }] of Object.entries(group.resources))
      for (const [key, check] of Object.entries(checks))
        add(`${name}.${resource}.${key}`, check, name);
  return all;
}

/** The check of this key, or undefined. */
export function checkOf(body: TemplateBody, key: string): Check | undefined {
  const [first = "", second, third] = key.split(".");
  if (second === undefined) return body.checks[first];
  if (third !== undefined) return body.groups[first]?.resources[second]?.checks[third];
  const requirement = first === ofRequirement ? body.requires[second] : undefined;
  return requirement?.kind === "external" ? requirement.check : undefined;
}
