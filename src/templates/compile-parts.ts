import { z } from "zod";
import type { Group, TemplateBody } from "../domain/template.ts";

/**
 * A template on its way from a thread: as texts, of which the event loop reads one at a time. Handed over as one value, it
 * would be read in one go.
 */
export interface TemplateParts {
  /** The template without its groups. */
  readonly rest: string;
  /** Some groups each, by name. */
  readonly groups: readonly string[];
}

const groupsAtOnce = 250;

export function inParts(body: TemplateBody): TemplateParts {
  const groups = Object.entries(body.groups);
  const parts: string[] = [];
  for (let from = 0; from < groups.length; from += groupsAtOnce)
    parts.push(JSON.stringify(Object.fromEntries(groups.slice(from, from + groupsAtOnce))));
  return { rest: JSON.stringify({ ...body, groups: {} }), groups: parts };
}

const restOf = z.custom<TemplateBody>();
const groupsOf = z.custom<Readonly<Record<string, Group>>>();

/** Puts it together. `each` sees the groups of a part, and the event loop turns after it. */
export async function fromParts(
  { rest, groups }: TemplateParts,
  each: (groups: Readonly<Record<string, Group>>) => void,
): Promise<TemplateBody> {
  const all: [string, Group][] = [];
  for (const part of groups) {
    const some = groupsOf.parse(JSON.parse(part));
    each(some);
    all.push(...Object.entries(some));
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  return { ...restOf.parse(JSON.parse(rest)), groups: Object.fromEntries(all) };
}
