import type { Json } from "../lib/json.ts";
import { environmentMoves, type Environment } from "./environment.ts";
import type { ObservedResource, Resource, ResourceStatus } from "./resource.ts";
import { templateMoves, type Tags, type Template } from "./template.ts";

/** What can be found. */
export const foundKinds = ["environment", "resource", "observed", "template"] as const;
export type FoundKind = (typeof foundKinds)[number];

const resourceStatuses: Readonly<Record<ResourceStatus, true>> = {
  pending: true,
  present: true,
  failed: true,
  drifted: true,
  removed: true,
};

/** What `status:` may ask for. Destroyed environments are not indexed. */
export const searchStatuses: readonly string[] = [
  ...Object.keys(environmentMoves).filter((status) => status !== "destroyed"),
  ...Object.keys(resourceStatuses),
  ...Object.keys(templateMoves),
];

/** A text of a thing, under the name that shows where a word was found. */
export interface SearchSection {
  readonly field: string;
  readonly text: string;
}

/** A thing as it is searched: what it is called, what else is said of it, and what it can be asked by as a whole. */
export interface SearchDocument {
  readonly kind: FoundKind;
  readonly name: readonly SearchSection[];
  readonly text: readonly SearchSection[];
  readonly keys: SearchKeys;
}

export interface SearchKeys {
  /** Its id: names are looked up when they are asked for. */
  readonly environment?: string;
  readonly template?: readonly string[];
  readonly group?: string;
  readonly type?: string;
  readonly tags?: Tags;
}

export function environmentDocument(
  of: Pick<Environment, "id" | "name" | "description" | "tags" | "desired">,
): SearchDocument {
  const template = of.desired.templates.map(({ name }) => name);
  return {
    kind: "environment",
    name: [{ field: "name", text: of.name }],
    text: [
      { field: "description", text: of.description },
      ...tagSections(of.tags),
      ...template.map((name) => ({ field: "template", text: name })),
    ],
    keys: { environment: of.id, template, tags: of.tags },
  };
}

export function resourceDocument(
  of: Pick<
    Resource,
    "environmentId" | "template" | "group" | "key" | "name" | "description" | "tags"
  >,
): SearchDocument {
  const { environmentId, template, group } = of;
  return {
    kind: "resource",
    name: [
      { field: "name", text: of.name },
      { field: "key", text: of.key },
    ],
    text: [
      { field: "description", text: of.description },
      ...tagSections(of.tags),
      { field: "group", text: group },
      { field: "template", text: template },
    ],
    keys: { environment: environmentId, template: [template], group, tags: of.tags },
  };
}

/** Of its attributes what is shown of them, and nothing else: they hold no secret value, and nothing sensitive. */
export function observedDocument(
  of: ObservedResource & {
    readonly environmentId: string;
    readonly template: string;
    readonly group: string;
  },
): SearchDocument {
  const { environmentId, template, group, type } = of;
  return {
    kind: "observed",
    name: [{ field: "address", text: of.address }],
    text: [
      { field: "type", text: type },
      { field: "externalId", text: of.externalId ?? "" },
      ...attributeSections("attributes", of.attributes),
      { field: "group", text: group },
      { field: "template", text: template },
    ],
    keys: { environment: environmentId, template: [template], group, type },
  };
}

export function templateDocument(
  of: Pick<Template, "name" | "version" | "description" | "tags">,
): SearchDocument {
  return {
    kind: "template",
    name: [{ field: "name", text: of.name }],
    text: [
      { field: "version", text: of.version },
      { field: "description", text: of.description },
      ...tagSections(of.tags),
    ],
    keys: { template: [of.name], tags: of.tags },
  };
}

function tagSections(tags: Tags): readonly SearchSection[] {
  return Object.entries(tags).map(([key, value]) => ({
    field: `tags.${key}`,
    text: `${key} ${value}`,
  }));
}

/** Scalars, each with its path: an attribute is found by its name as by its value. */
function attributeSections(field: string, value: Json): readonly SearchSection[] {
  if (value === null) return [];
  if (Array.isArray(value)) return value.flatMap((each) => attributeSections(field, each));
  if (typeof value === "object")
    return Object.entries(value).flatMap(([key, each]) =>
      attributeSections(`${field}.${key}`, each),
    );
  const name = field.slice(field.lastIndexOf(".") + 1);
  return [{ field, text: `${name} ${String(value)}` }];
}
