import type { Selectable } from "kysely";
import type { FoundKind } from "../../../domain/search-document.ts";
import type { FoundThing } from "../../../ports/search.ts";
import { environmentOf, selectEnvironment } from "./environment.ts";
import { fromJson } from "./json.ts";
import { resourceOf } from "./resource.ts";
import { statement, type Session } from "./session.ts";
import type { Tables } from "./tables.ts";
import { selectSummary, summaryOf } from "./template.ts";

interface DocumentRow {
  readonly number: number;
  readonly kind: Exclude<FoundKind, "observed">;
  readonly subjectId: string | null;
  readonly resourceId: string | null;
}

/** A document that the thing itself comes with: most that is found was observed. */
interface ObservedRow extends Selectable<Tables["observed"]> {
  readonly number: number;
  readonly kind: "observed";
  readonly environmentName: string | null;
}

export type FoundRow = DocumentRow | ObservedRow;

const selectName = statement<{ readonly name: string }>(
  `select "name" from "environment" where "id" = ?`,
);
const selectResource = statement<Selectable<Tables["resource"]>>(
  `select * from "resource" where "id" = ?`,
);

/** The things themselves, in the same order. They are asked for at once, so that an engine may answer all of them together. */
export async function loadFound(
  session: Session,
  rows: readonly FoundRow[],
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
  row: FoundRow,
  nameOf: (id: string) => Promise<string>,
): Promise<FoundThing | null> {
  switch (row.kind) {
    case "environment": {
      const found = await session.one(selectEnvironment, row.subjectId);
      // A program of before takes nothing out of the index.
      return found === undefined || found.status === "destroyed"
        ? null
        : { kind: row.kind, environment: environmentOf(found) };
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
      const { environmentId, template, group, address, type, externalId, observedAt } = row;
      const what = { address, type, externalId, attributes: fromJson(row.attributes), observedAt };
      const environmentName = row.environmentName ?? environmentId;
      return {
        kind: row.kind,
        observed: { environmentId, template, group, ...what },
        environmentName,
      };
    }
  }
}
