import type { Selectable } from "kysely";
import type { FoundKind } from "../../../domain/search-document.ts";
import type { FoundThing } from "../../../ports/search.ts";
import { environmentOf, selectEnvironment } from "./environment.ts";
import { fromJson } from "./json.ts";
import { resourceOf } from "./resource.ts";
import { statement, type Session } from "./session.ts";
import type { Tables } from "./tables.ts";
import { selectSummary, summaryOf } from "./template.ts";

export interface DocumentRow {
  readonly number: number;
  readonly kind: FoundKind;
  readonly subjectId: string | null;
  readonly resourceId: string | null;
  /** These of what was observed only. */
  readonly environmentId: string | null;
  readonly template: string | null;
  readonly group: string | null;
  readonly address: string | null;
}

const selectName = statement<{ readonly name: string }>(
  `select "name" from "environment" where "id" = ?`,
);
const selectResource = statement<Selectable<Tables["resource"]>>(
  `select * from "resource" where "id" = ?`,
);
const selectObserved = statement<Selectable<Tables["observed"]>>(
  `select * from "observed" where "environmentId" = ? and "template" = ? and "group" = ? and "address" = ?`,
);

/** The things themselves, in the same order. They are asked for at once, so that an engine may answer all of them together. */
export async function loadFound(
  session: Session,
  rows: readonly DocumentRow[],
): Promise<readonly FoundThing[]> {
  const names = new Map<string, Promise<string>>();
  const nameOf = async (id: string): Promise<string> => {
    const known = names.get(id) ?? session.one(selectName, id).then((row) => row?.name ?? id);
    names.set(id, known);
    return known;
  };
  const things = await Promise.all(rows.map((row) => load(session, row, nameOf)));
  return things.filter((thing) => thing !== null);
}

async function load(
  session: Session,
  row: DocumentRow,
  nameOf: (id: string) => Promise<string>,
): Promise<FoundThing | null> {
  switch (row.kind) {
    case "environment": {
      const found = await session.one(selectEnvironment, row.subjectId);
      return found === undefined ? null : { kind: row.kind, environment: environmentOf(found) };
    }
    case "template": {
      const found = await session.one(selectSummary, row.subjectId);
      return found === undefined ? null : { kind: row.kind, template: summaryOf(found) };
    }
    case "resource": {
      const found = await session.one(selectResource, row.resourceId);
      if (found === undefined) return null;
      const environmentName = await nameOf(found.environmentId);
      return { kind: row.kind, resource: resourceOf(found), environmentName };
    }
    case "observed": {
      const { environmentId, template, group, address } = row;
      const found = await session.one(selectObserved, environmentId, template, group, address);
      if (found === undefined) return null;
      const environmentName = await nameOf(found.environmentId);
      const observed = { ...found, attributes: fromJson(found.attributes) };
      return { kind: row.kind, observed, environmentName };
    }
  }
}
