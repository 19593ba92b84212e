import type { Insertable, Selectable } from "kysely";
import type { ObservedResource, Resource } from "../../../domain/resource.ts";
import type { GroupPlace, ResourceRepository } from "../../../ports/repositories.ts";
import { fromJson, toJson } from "./json.ts";
import { pageOf, readTextCursor } from "./paging.ts";
import { padded, placeholders, statement } from "./session.ts";
import type { Session } from "./session.ts";
import type { Tables } from "./tables.ts";

/** As many as one statement takes without getting slow to prepare. */
const addressesAtOnce = 1_024;

type ResourceRow = Selectable<Tables["resource"]>;

const ofGroup = statement<ResourceRow>(
  `select * from "resource" where "environmentId" = ? and "template" = ? and "group" = ? order by "key"`,
);
const forgetObserved = statement(
  `delete from "observed" where "environmentId" = ? and "template" = ? and "group" = ?`,
);
export const insertObserved = statement(
  `insert into "observed" ("environmentId", "template", "group", "address", "type", "externalId", "attributes", "observedAt")
   values (?, ?, ?, ?, ?, ?, ?, ?)
   on conflict ("environmentId", "template", "group", "address") do update set "type" = excluded."type",
     "externalId" = excluded."externalId", "attributes" = excluded."attributes", "observedAt" = excluded."observedAt"`,
);

export function resources(session: Session): ResourceRepository {
  return {
    replaceGroup: (at, wanted) => replaceGroup(session, at, wanted),
    async setGroupStatus(at, status, now) {
      await session.locks.hold(at.environmentId);
      await session.db
        .updateTable("resource")
        .set({ status, updatedAt: now })
        .where("environmentId", "=", at.environmentId)
        .where("template", "=", at.template)
        .where("group", "=", at.group)
        .execute();
    },
    async get(id) {
      const row = await select(session).where("id", "=", id).executeTakeFirst();
      return row === undefined ? null : resourceOf(row);
    },
    async ofEnvironment(environmentId) {
      await session.locks.hold(environmentId);
      const rows = await select(session)
        .where("environmentId", "=", environmentId)
        .orderBy("template")
        .orderBy("group")
        .orderBy("key")
        .execute();
      return rows.map((row) => resourceOf(row));
    },
    async ofGroup({ environmentId, template, group }) {
      await session.locks.hold(environmentId);
      const rows = await session.all(ofGroup, environmentId, template, group);
      return rows.map((row) => resourceOf(row));
    },
    async list(page) {
      const after = readTextCursor(page);
      let query = select(session)
        .orderBy("id")
        .limit(page.limit + 1);
      if (after !== null) query = query.where("id", ">", after);
      return pageOf(await query.execute(), page.limit, {
        item: resourceOf,
        place: (row) => row.id,
      });
    },
    async replaceObserved(at, observed, now) {
      await forgetOthers(session, at, observed);
      await addObserved(session, at, { observed, now });
    },
    addObserved: (at, observed, now) => addObserved(session, at, { observed, now }),
    async observedOf(environmentId) {
      const rows = await session.db
        .selectFrom("observed")
        .selectAll()
        .where("environmentId", "=", environmentId)
        .orderBy("template")
        .orderBy("group")
        .orderBy("address")
        .execute();
      return rows.map((row) => ({ ...row, attributes: fromJson(row.attributes) }));
    },
  };
}

async function replaceGroup(
  session: Session,
  at: GroupPlace,
  wanted: readonly Resource[],
): Promise<void> {
  await session.locks.hold(at.environmentId);
  const keys = new Set(wanted.map((resource) => resource.key));
  const present = await session.db
    .selectFrom("resource")
    .select(["id", "key"])
    .where("environmentId", "=", at.environmentId)
    .where("template", "=", at.template)
    .where("group", "=", at.group)
    .execute();
  for (const { id, key } of present) {
    if (!keys.has(key)) await session.db.deleteFrom("resource").where("id", "=", id).execute();
  }
  await forgetEdges(session, at);
  for (const resource of wanted) {
    const row = rowOf(resource);
    const { id: _id, createdAt: _createdAt, ...changed } = row;
    await session.db
      .insertInto("resource")
      .values(row)
      .onConflict((conflict) =>
        conflict.columns(["environmentId", "template", "group", "key"]).doUpdateSet(changed),
      )
      .execute();
    await writeEdges(session, resource);
  }
}

/** What is seen again stays, and with it its place among what is searched. */
async function forgetOthers(
  session: Session,
  at: GroupPlace,
  observed: readonly ObservedResource[],
): Promise<void> {
  const { environmentId, template, group } = at;
  await session.locks.hold(environmentId);
  const stay = observed.map(({ address }) => address);
  if (stay.length > 0 && stay.length <= addressesAtOnce) {
    const others = statement(
      `${forgetObserved.sql} and "address" not in (${placeholders(stay.length)})`,
    );
    await session.run(others, environmentId, template, group, ...padded(stay));
  } else await session.run(forgetObserved, environmentId, template, group);
}

async function addObserved(
  session: Session,
  at: GroupPlace,
  { observed, now }: { readonly observed: readonly ObservedResource[]; readonly now: string },
): Promise<void> {
  const { environmentId, template, group } = at;
  await session.locks.hold(environmentId);
  for (const one of observed) {
    const { address, type, externalId, attributes } = one;
    const what = [address, type, externalId, toJson(attributes), now] as const;
    await session.run(insertObserved, environmentId, template, group, ...what);
  }
}

async function writeEdges(session: Session, resource: Resource): Promise<void> {
  const fromResource = `${resource.group}.${resource.key}`;
  const edges = [
    ...resource.dependsOn.map((toResource) => ({ toResource, kind: "resource" as const })),
    ...resource.external.map((toResource) => ({ toResource, kind: "external" as const })),
  ];
  if (edges.length === 0) return;
  await session.db
    .insertInto("resourceEdge")
    .values(edges.map((edge) => ({ ...place(resource), fromResource, ...edge })))
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

async function forgetEdges(session: Session, at: GroupPlace): Promise<void> {
  await session.db
    .deleteFrom("resourceEdge")
    .where("environmentId", "=", at.environmentId)
    .where("template", "=", at.template)
    .where("group", "=", at.group)
    .execute();
}

function place({ environmentId, template, group }: GroupPlace): GroupPlace {
  return { environmentId, template, group };
}

function select(session: Session) {
  return session.db.selectFrom("resource").selectAll();
}

function rowOf(resource: Resource): Insertable<Tables["resource"]> {
  return {
    ...resource,
    tags: toJson(resource.tags),
    links: toJson(resource.links),
    checks: toJson(resource.checks),
    dependsOn: toJson(resource.dependsOn),
    external: toJson(resource.external),
  };
}

export function resourceOf(row: ResourceRow): Resource {
  const { number: _number, ...plain } = row;
  return {
    ...plain,
    tags: fromJson(row.tags),
    links: fromJson(row.links),
    checks: fromJson(row.checks),
    dependsOn: fromJson(row.dependsOn),
    external: fromJson(row.external),
  };
}
