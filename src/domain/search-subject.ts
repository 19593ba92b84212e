import { isJsonObject } from "../lib/json.ts";
import type { EventType, JournalEvent } from "./event.ts";

/** What is to be looked at again because of an event: of what is searched, that which the event's transaction may have changed. */
export type SearchSubject =
  | { readonly kind: "environment"; readonly id: string }
  | { readonly kind: "template"; readonly name: string; readonly version: string }
  | {
      readonly kind: "group";
      readonly environmentId: string;
      readonly template: string;
      readonly group: string;
    };

type Told = Pick<JournalEvent, "type" | "environmentId" | "subject" | "data">;

/**
 * The events that what is searched changes with: texts of an environment, and whether it lives; a version of a template; and what
 * is declared or was observed of a group, which is written where a step ends well and nowhere else. Whoever lets another
 * transaction change one of these names its event here.
 */
const subjects: Readonly<Partial<Record<EventType, (event: Told) => SearchSubject | null>>> = {
  "environment.deploying": environmentOf,
  "environment.updated": environmentOf,
  "environment.destroyed": environmentOf,
  "template.registered": templateOf,
  "step.succeeded": groupOf,
};

/** The types of those events. */
export const searchedTypes: readonly string[] = Object.keys(subjects);

/** Null: nothing that is searched. */
export function searchSubject(event: Told): SearchSubject | null {
  return subjects[event.type]?.(event) ?? null;
}

function environmentOf({ environmentId }: Told): SearchSubject | null {
  return environmentId === null ? null : { kind: "environment", id: environmentId };
}

function templateOf({ subject }: Told): SearchSubject | null {
  const [, name, version] = /^templates\/([^@]*)@(.*)$/u.exec(subject) ?? [];
  if (name === undefined || version === undefined) return null;
  return { kind: "template", name, version };
}

/** Steps of checks have no group. */
function groupOf({ environmentId, data }: Told): SearchSubject | null {
  if (environmentId === null || !isJsonObject(data)) return null;
  const { template, group } = data;
  if (typeof template !== "string" || typeof group !== "string") return null;
  return { kind: "group", environmentId, template, group };
}
