import type { Selectable } from "kysely";
import type { Environment } from "../../../domain/environment.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import { isId } from "../../../domain/id.ts";
import type { EnvironmentRepository } from "../../../ports/repositories.ts";
import { fromJson, toJson, toJsonIfGiven } from "./json.ts";
import { pageOf, readCursor } from "./paging.ts";
import { atMost, insertion, patchRow, statement } from "./session.ts";
import type { Session } from "./session.ts";
import type { Tables } from "./tables.ts";

export const selectEnvironment = statement<Selectable<Tables["environment"]>>(
  `select * from "environment" where "id" = ?`,
);
const selectLiving = statement<Selectable<Tables["environment"]>>(
  `select * from "environment" where "name" = ? and "status" <> 'destroyed' and not "prospective"`,
);
const selectLatest = statement<Selectable<Tables["environment"]>>(
  `select * from "environment" where "name" = ? and not "prospective" order by "number" desc limit 1`,
);
const selectDue = statement<Selectable<Tables["environment"]>>(
  `select * from "environment" where "status" <> 'destroyed' and "plannedDestructionAt" is not null
     and "plannedDestructionAt" <= ? order by "plannedDestructionAt"`,
);
const selectNextDue = statement<{ readonly plannedDestructionAt: string }>(
  `select "plannedDestructionAt" from "environment" where "status" <> 'destroyed' and "plannedDestructionAt" is not null
     and "plannedDestructionAt" > ? order by "plannedDestructionAt" limit 1`,
);
const forgetRequirements = statement(`delete from "requirement" where "environmentId" = ?`);

export function environments(session: Session): EnvironmentRepository {
  return {
    insert: (environment) => insert(session, environment),
    async get(id) {
      await session.locks.hold(id);
      return optional(await session.one(selectEnvironment, id));
    },
    find: (idOrName) => find(session, idOrName),
    update: (id, patch) => update(session, id, patch),
    async list(filter, page) {
      const before = readCursor(page);
      let query = select(session)
        .orderBy("number", "desc")
        .where("prospective", "=", false)
        .limit(page.limit + 1);
      if (before !== null) query = query.where("number", "<", before);
      if (filter.status !== undefined) query = query.where("status", "=", filter.status);
      else if (filter.includeDestroyed !== true) query = query.where("status", "<>", "destroyed");
      return pageOf(await query.execute(), page.limit, {
        item: environmentOf,
        place: (row) => row.number,
      });
    },
    async due(now, limit) {
      const rows = await atMost(session, { kept: selectDue, limit }, now);
      return rows.map((row) => environmentOf(row));
    },
    async nextDue(now) {
      const row = await session.one(selectNextDue, now);
      return row?.plannedDestructionAt ?? null;
    },
    requiring: (id) => requiring(session, id),
    holdRequirements: () => session.locks.alone("requirements"),
    async requirementEdges() {
      const rows = await session.db
        .selectFrom("requirement")
        .innerJoin("environment as e", "e.id", "requirement.environmentId")
        .innerJoin("environment as r", "r.id", "requirement.requiredId")
        .where("e.status", "<>", "destroyed")
        .where("r.status", "<>", "destroyed")
        .select(["requirement.environmentId", "requirement.requiredId"])
        .orderBy("requirement.environmentId")
        .orderBy("requirement.requiredId")
        .execute();
      return rows.map((row) => [row.environmentId, row.requiredId] as const);
    },
  };
}

async function insert(session: Session, environment: Environment): Promise<void> {
  const row = {
    ...environment,
    tags: toJson(environment.tags),
    failure: toJson(environment.failure),
    desired: toJson(environment.desired),
    outputs: toJson(environment.outputs),
    entrypoints: toJson(environment.entrypoints),
    requires: toJson(environment.requires),
  };
  const { kept, cells } = insertion("environment", row, "on conflict do nothing");
  await session.sure(onlyOne(environment, session.change(kept, ...cells)));
  session.locks.made(environment.id, environment.sequence);
  await addRequirements(session, environment.id, environment.requires);
}

async function onlyOne({ name }: Environment, inserted: Promise<number>): Promise<void> {
  if ((await inserted) === 1) return;
  throw new GlasshouseError(
    "already-exists",
    `There is a living environment with the name ${name}; choose another name or destroy that one first.`,
  );
}

/** What was found is looked up again once it is held: it may have been destroyed, and another have its name, meanwhile. */
async function find(session: Session, idOrName: string): Promise<Environment | null> {
  for (;;) {
    const found = await lookUp(session, idOrName);
    if (found === null || session.locks.holds(found.id)) return found;
    await session.locks.hold(found.id);
  }
}

async function lookUp(session: Session, idOrName: string): Promise<Environment | null> {
  // A name never has the form of an id.
  if (isId("environment", idOrName))
    return optional(await session.one(selectEnvironment, idOrName));
  const living = await session.one(selectLiving, idOrName);
  return optional(living ?? (await session.one(selectLatest, idOrName)));
}

async function update(
  session: Session,
  id: string,
  patch: Parameters<EnvironmentRepository["update"]>[1],
): Promise<void> {
  if (Object.keys(patch).length === 0) return;
  await session.locks.hold(id);
  const row = {
    ...patch,
    tags: toJsonIfGiven(patch.tags),
    failure: toJsonIfGiven(patch.failure),
    desired: toJsonIfGiven(patch.desired),
    outputs: toJsonIfGiven(patch.outputs),
    entrypoints: toJsonIfGiven(patch.entrypoints),
    requires: toJsonIfGiven(patch.requires),
  };
  await patchRow(session, "environment", { id, patch: row });
  if (patch.requires !== undefined) await writeRequirements(session, id, patch.requires);
}

async function writeRequirements(
  session: Session,
  environmentId: string,
  requires: readonly string[],
): Promise<void> {
  await session.run(forgetRequirements, environmentId);
  await addRequirements(session, environmentId, requires);
}

async function addRequirements(
  session: Session,
  environmentId: string,
  requires: readonly string[],
): Promise<void> {
  if (requires.length === 0) return;
  // Who destroys what is required must see that it is.
  for (const id of requires.toSorted()) await session.locks.hold(id);
  await session.db
    .insertInto("requirement")
    .values([...new Set(requires)].map((requiredId) => ({ environmentId, requiredId })))
    .execute();
}

async function requiring(session: Session, id: string): Promise<readonly Environment[]> {
  await session.locks.hold(id);
  for (;;) {
    const rows = await select(session)
      .where("status", "<>", "destroyed")
      .where("id", "in", (inner) =>
        inner.selectFrom("requirement").select("environmentId").where("requiredId", "=", id),
      )
      .orderBy("number")
      .execute();
    const unheld = rows.filter((row) => !session.locks.holds(row.id));
    if (unheld.length === 0) return rows.map((row) => environmentOf(row));
    for (const row of unheld) await session.locks.hold(row.id);
  }
}

function select(session: Session) {
  return session.db.selectFrom("environment").selectAll();
}

function optional(row: Selectable<Tables["environment"]> | undefined): Environment | null {
  return row === undefined ? null : environmentOf(row);
}

export function environmentOf(row: Selectable<Tables["environment"]>): Environment {
  const { number: _number, ...plain } = row;
  return {
    ...plain,
    tags: fromJson(row.tags),
    failure: fromJson(row.failure),
    desired: fromJson(row.desired),
    outputs: fromJson(row.outputs),
    entrypoints: fromJson(row.entrypoints),
    requires: fromJson(row.requires),
    outdated: Boolean(row.outdated),
    drifted: Boolean(row.drifted),
    prospective: Boolean(row.prospective),
  };
}
