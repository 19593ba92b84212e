import type { Selectable } from "kysely";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Template } from "../../../domain/template.ts";
import type {
  TemplateMark,
  TemplateRepository,
  TemplateSummary,
} from "../../../ports/repositories.ts";
import { fromJson, toJson } from "./json.ts";
import { pageOf, readTextCursor } from "./paging.ts";
import { statement } from "./session.ts";
import type { Session } from "./session.ts";
import type { Tables } from "./tables.ts";

const summaryColumns = [
  "number",
  "id",
  "name",
  "version",
  "status",
  "description",
  "tags",
  "source",
  "digest",
  "createdAt",
] as const;

type SummaryRow = Omit<Selectable<Tables["template"]>, "body" | "files">;

const selectOne = statement<Selectable<Tables["template"]>>(
  `select * from "template" where "id" = ?`,
);
const selectVersion = statement<Selectable<Tables["template"]>>(
  `select * from "template" where "name" = ? and "version" = ?`,
);
const summaryList = summaryColumns.map((column) => `"${column}"`).join(", ");
export const selectSummary = statement<SummaryRow>(
  `select ${summaryList} from "template" where "id" = ?`,
);
const selectVersions = statement<SummaryRow>(
  `select ${summaryList} from "template" where "name" = ? order by "number"`,
);
const selectMarks = statement<TemplateMark>(
  `select "id", "version", "status", "digest" from "template" where "name" = ? order by "number"`,
);

export function templates(session: Session): TemplateRepository {
  return {
    insert: (template) => insert(session, template),
    replaceDraft: (template) => replaceDraft(session, template),
    async setStatus(id, status) {
      await session.locks.alone("templates");
      await session.db.updateTable("template").set({ status }).where("id", "=", id).execute();
    },
    async get(id) {
      const row = await session.one(selectOne, id);
      return row === undefined ? null : templateOf(row);
    },
    async find(name, version) {
      const row = await session.one(selectVersion, name, version);
      return row === undefined ? null : templateOf(row);
    },
    async summary(id) {
      const row = await session.one(selectSummary, id);
      return row === undefined ? null : summaryOf(row);
    },
    async versions(name) {
      const rows = await session.all(selectVersions, name);
      return rows.map((row) => summaryOf(row));
    },
    marks: (name) => session.all(selectMarks, name),
    list: (page) => list(session, page),
    async blobDigests() {
      const rows = await session.db.selectFrom("template").select("files").execute();
      const digests = rows.flatMap((row) => fromJson(row.files).map((file) => file.digest));
      return [...new Set(digests)];
    },
  };
}

async function insert(session: Session, template: Template): Promise<void> {
  await session.locks.alone("templates");
  const added = await session.db
    .insertInto("template")
    .values(rowOf(template))
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (added.numInsertedOrUpdatedRows !== 1n) {
    throw new GlasshouseError(
      "already-exists",
      `The template ${template.name} has a version ${template.version} already; register the change under a new version.`,
    );
  }
}

async function replaceDraft(session: Session, template: Template): Promise<void> {
  await session.locks.alone("templates");
  const { id, ...content } = rowOf(template);
  await session.db
    .updateTable("template")
    .set(content)
    .where("id", "=", id)
    .where("status", "=", "draft")
    .execute();
}

async function list(
  session: Session,
  page: Parameters<TemplateRepository["list"]>[0],
): Promise<Awaited<ReturnType<TemplateRepository["list"]>>> {
  const after = readTextCursor(page);
  let query = summaries(session)
    .orderBy("name")
    .orderBy("number")
    .limit(page.limit + 1);
  if (after !== null) {
    const [name = "", number = "0"] = after.split("/");
    query = query.where(({ eb }) =>
      eb.or([
        eb("name", ">", name),
        eb.and([eb("name", "=", name), eb("number", ">", Number(number))]),
      ]),
    );
  }
  return pageOf(await query.execute(), page.limit, {
    item: summaryOf,
    place: (row) => `${row.name}/${row.number}`,
  });
}

function summaries(session: Session) {
  return session.db.selectFrom("template").select(summaryColumns);
}

function rowOf(template: Template) {
  return {
    ...template,
    tags: toJson(template.tags),
    source: toJson(template.source),
    body: toJson(template.body),
    files: toJson(template.files),
  };
}

export function summaryOf(row: SummaryRow): TemplateSummary {
  const { number: _number, ...plain } = row;
  return { ...plain, tags: fromJson(row.tags), source: fromJson(row.source) };
}

function templateOf(row: Selectable<Tables["template"]>): Template {
  const { number: _number, ...plain } = row;
  return {
    ...plain,
    tags: fromJson(row.tags),
    source: fromJson(row.source),
    body: fromJson(row.body),
    files: fromJson(row.files),
  };
}
