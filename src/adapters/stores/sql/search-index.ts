import type { Selectable } from "kysely";
import type { GroupPlace } from "../../../ports/repositories.ts";
import type { SearchSubject } from "../../../domain/search-subject.ts";
import type { Json } from "../../../lib/json.ts";
import {
  forgetEnvironment,
  indexEnvironment,
  indexObserved,
  indexResource,
  indexTemplate,
} from "./document.ts";
import { fromJson } from "./json.ts";
import { statement, type Session, type Statement } from "./session.ts";
import type { Tables } from "./tables.ts";

/** One transaction that goes through all takes no further environment after so many rows. */
const rowsAtOnce = 200;
/** Rows between two turns of the event loop: some milliseconds of work. */
const rowsBetweenTurns = 100;

type TemplateRow = Pick<
  Selectable<Tables["template"]>,
  "id" | "name" | "version" | "description" | "tags"
>;

type EnvironmentRow = Pick<
  Selectable<Tables["environment"]>,
  "id" | "name" | "description" | "tags" | "desired" | "status" | "prospective"
>;

const templateColumns = `"id", "name", "version", "description", "tags"`;
const templateRow = statement<TemplateRow>(
  `select ${templateColumns} from "template" where "name" = ? and "version" = ?`,
);
const nextTemplates = statement<TemplateRow>(
  `select ${templateColumns} from "template" where "id" > ? order by "id" limit ${rowsAtOnce}`,
);
const environmentColumns = `"id", "name", "description", "tags", "desired", "status", "prospective"`;
const environmentRow = statement<EnvironmentRow>(
  `select ${environmentColumns} from "environment" where "id" = ?`,
);
const nextEnvironment = statement<EnvironmentRow>(
  `select ${environmentColumns} from "environment" where "id" > ? order by "id" limit 1`,
);
const resourcesOf: Statement<Selectable<Tables["resource"]>> = statement(
  `select * from "resource" where "environmentId" = ? order by "number"`,
);
const resourcesOfGroup: typeof resourcesOf = statement(
  `select * from "resource" where "environmentId" = ? and "template" = ? and "group" = ? order by "number"`,
);
const observedOf: Statement<Selectable<Tables["observed"]>> = statement(
  `select * from "observed" where "environmentId" = ? order by "template", "group", "address"`,
);
const observedOfGroup: typeof observedOf = statement(
  `select * from "observed" where "environmentId" = ? and "template" = ? and "group" = ? order by "address"`,
);

/** What was read of a thing, to be written into the index in the same transaction. */
export interface Indexing {
  readonly rows: number;
  readonly write: () => Promise<void>;
}

const nothing: Indexing = { rows: 0, write: () => Promise.resolve() };

/**
 * Reads what there is of it now, to be indexed; what is gone of it has gone from the index with its row, or goes by this. Safe to
 * repeat. What another transaction changes meanwhile comes with the event of that.
 */
export async function readSubject(session: Session, subject: SearchSubject): Promise<Indexing> {
  switch (subject.kind) {
    case "environment":
      return ofEnvironment(session, await session.one(environmentRow, subject.id));
    case "template": {
      const row = await session.one(templateRow, subject.name, subject.version);
      return row === undefined ? nothing : { rows: 1, write: () => indexTemplateRow(session, row) };
    }
    case "group":
      return readGroup(session, subject);
  }
}

/** Indexes some of all versions of templates, by id. Gives the last of them; null: there are no more. */
export async function indexTemplates(session: Session, after: string): Promise<string | null> {
  const rows = await session.all(nextTemplates, after);
  for (const row of rows) await indexTemplateRow(session, row);
  return rows.at(-1)?.id ?? null;
}

/** Indexes some of all environments, by id, with what is in them. Gives the last of them; null: there are no more. */
export async function indexEnvironments(session: Session, after: string): Promise<string | null> {
  let last: string | null = null;
  for (let rows = 0; rows < rowsAtOnce; rows += 1) {
    const row: EnvironmentRow | undefined = await session.one(nextEnvironment, last ?? after);
    if (row === undefined) break;
    await ofEnvironment(session, row).write();
    const resources = await session.all(resourcesOf, row.id);
    const observed = await session.all(observedOf, row.id);
    await indexRows(session, { resources, observed });
    rows += resources.length + observed.length;
    last = row.id;
  }
  return last;
}

function indexTemplateRow(session: Session, row: TemplateRow): Promise<void> {
  return indexTemplate(session, { ...row, tags: fromJson(row.tags) });
}

/** Only planned so far: it is not searched. */
function ofEnvironment(session: Session, row: EnvironmentRow | undefined): Indexing {
  if (row === undefined || Boolean(row.prospective)) return nothing;
  if (row.status === "destroyed") return { rows: 1, write: () => forgetEnvironment(session, row) };
  const of = { ...row, tags: fromJson(row.tags), desired: fromJson(row.desired) };
  return { rows: 1, write: () => indexEnvironment(session, of) };
}

async function readGroup(
  session: Session,
  { environmentId, template, group }: GroupPlace,
): Promise<Indexing> {
  const [resources, observed] = await Promise.all([
    session.all(resourcesOfGroup, environmentId, template, group),
    session.all(observedOfGroup, environmentId, template, group),
  ]);
  const rows = resources.length + observed.length;
  return { rows, write: () => indexRows(session, { resources, observed }) };
}

async function indexRows(
  session: Session,
  rows: {
    readonly resources: readonly Selectable<Tables["resource"]>[];
    readonly observed: readonly Selectable<Tables["observed"]>[];
  },
): Promise<void> {
  let written = 0;
  const turn = async (): Promise<void> => {
    written += 1;
    if (written % rowsBetweenTurns === 0) await session.pause();
  };
  for (const row of rows.resources) {
    await indexResource(session, { ...row, tags: fromJson(row.tags) }, row.id);
    await turn();
  }
  for (const row of rows.observed) {
    const attributes: Readonly<Record<string, Json>> = fromJson(row.attributes);
    await indexObserved(session, { ...row, attributes });
    await turn();
  }
}
