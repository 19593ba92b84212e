import {
  environmentDocument,
  observedDocument,
  resourceDocument,
  templateDocument,
  type FoundKind,
  type SearchDocument,
} from "../../../domain/search-document.ts";
import { indexedText } from "../../../domain/search-index.ts";
import type { Environment } from "../../../domain/environment.ts";
import type { ObservedResource, Resource } from "../../../domain/resource.ts";
import type { Template } from "../../../domain/template.ts";
import type { GroupPlace } from "../../../ports/repositories.ts";
import { statement } from "./session.ts";
import type { Cell, Session, Statement } from "./session.ts";

const columns = [
  "kind",
  "subjectId",
  "resourceId",
  "environmentId",
  "template",
  "group",
  "address",
] as const;

/** By what the row of a thing is found again. The first is given with these alone. */
const keys: Readonly<Record<FoundKind, readonly string[]>> = {
  environment: ["subjectId"],
  template: ["subjectId"],
  resource: ["resourceId"],
  observed: ["environmentId", "template", "group", "address"],
};

/**
 * The kept statements that put a thing into the index, where its words are in these columns. A thing whose words are the same
 * costs no change of the index.
 */
export function putStatements(
  words: Readonly<Record<string, string>>,
): Readonly<Record<FoundKind, Statement<unknown>>> {
  const names = [...columns, ...Object.keys(words)].map((name) => `"${name}"`).join(", ");
  const values = [...columns.map(() => "?"), ...Object.values(words)].join(", ");
  const set = Object.keys(words).map((name) => `"${name}" = excluded."${name}"`);
  const differs = Object.keys(words).map(
    (name) => `"document"."${name}" is distinct from excluded."${name}"`,
  );
  const made = (kind: FoundKind): Statement<unknown> =>
    statement(
      `insert into "document" (${names}) values (${values})
       on conflict (${keys[kind].map((name) => `"${name}"`).join(", ")}) where "${keys[kind][0]}" is not null
       do update set ${set.join(", ")} where ${differs.join(" or ")}`,
    );
  return {
    environment: made("environment"),
    template: made("template"),
    resource: made("resource"),
    observed: made("observed"),
  };
}

const forgetSubject = statement(`delete from "document" where "subjectId" = ?`);

export async function indexEnvironment(
  session: Session,
  of: Parameters<typeof environmentDocument>[0],
): Promise<void> {
  await put(session, environmentDocument(of), { subjectId: of.id });
}

export async function forgetEnvironment(session: Session, { id }: Pick<Environment, "id">) {
  await session.run(forgetSubject, id);
}

export async function indexTemplate(
  session: Session,
  of: Pick<Template, "id" | "name" | "version" | "description" | "tags">,
): Promise<void> {
  await put(session, templateDocument(of), { subjectId: of.id });
}

/** `id` is the one that the resource has in the store. */
export async function indexResource(
  session: Session,
  of: Parameters<typeof resourceDocument>[0],
  id: Resource["id"],
): Promise<void> {
  await put(session, resourceDocument(of), { resourceId: id });
}

export async function indexObserved(
  session: Session,
  of: ObservedResource & GroupPlace,
): Promise<void> {
  const { environmentId, template, group, address } = of;
  await put(session, observedDocument(of), { environmentId, template, group, address });
}

type Key = Partial<Readonly<Record<(typeof columns)[number], string>>>;

async function put(session: Session, document: SearchDocument, key: Key): Promise<void> {
  const { fullText } = session.dialect;
  const row: Key = { kind: document.kind, ...key };
  const cells: readonly Cell[] = columns.map((name) => row[name] ?? null);
  await session.run(
    fullText.put[document.kind],
    ...cells,
    ...fullText.cells(indexedText(document)),
  );
}
