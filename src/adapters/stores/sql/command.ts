import type { Selectable } from "kysely";
import type { Command } from "../../../domain/command.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { CommandRepository } from "../../../ports/repositories.ts";
import { fromJson, toJson, toJsonIfGiven } from "./json.ts";
import { pageOf, readCursor } from "./paging.ts";
import type { Session } from "./session.ts";
import type { Tables } from "./tables.ts";

export function commands(session: Session): CommandRepository {
  return {
    insert: (command) => insert(session, command),
    async get(id) {
      const row = await select(session).where("id", "=", id).executeTakeFirst();
      return row === undefined ? null : commandOf(row);
    },
    async bySource(source, sourceId) {
      const row = await select(session)
        .where("source", "=", source)
        .where("sourceId", "=", sourceId)
        .executeTakeFirst();
      return row === undefined ? null : commandOf(row);
    },
    async update(id, patch) {
      if (Object.keys(patch).length === 0) return;
      session.touch("commands");
      await session.db
        .updateTable("command")
        .set({ ...patch, failure: toJsonIfGiven(patch.failure) })
        .where("id", "=", id)
        .execute();
    },
    async settleRun(runId, outcome) {
      session.touch("commands");
      const rows = await session.db
        .updateTable("command")
        .set({ ...outcome, failure: toJson(outcome.failure) })
        .where("runId", "=", runId)
        .where("status", "=", "accepted")
        .returningAll()
        .execute();
      return rows.sort((a, b) => a.number - b.number).map((row) => commandOf(row));
    },
    async ofRun(runId) {
      const rows = await select(session).where("runId", "=", runId).orderBy("number").execute();
      return rows.map((row) => commandOf(row));
    },
    async list(page) {
      const before = readCursor(page);
      let query = select(session)
        .orderBy("number", "desc")
        .limit(page.limit + 1);
      if (before !== null) query = query.where("number", "<", before);
      return pageOf(await query.execute(), page.limit, {
        item: commandOf,
        place: (row) => row.number,
      });
    },
  };
}

async function insert(session: Session, command: Command): Promise<void> {
  session.touch("commands");
  const added = await session.db
    .insertInto("command")
    .values({ ...command, data: toJson(command.data), failure: toJson(command.failure) })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (added.numInsertedOrUpdatedRows !== 1n) {
    throw new GlasshouseError(
      "already-exists",
      `A command ${command.sourceId} of ${command.source} is in the inbox already; ask for its outcome.`,
    );
  }
}

function select(session: Session) {
  return session.db.selectFrom("command").selectAll();
}

function commandOf(row: Selectable<Tables["command"]>): Command {
  const { number: _number, ...plain } = row;
  return { ...plain, data: fromJson(row.data), failure: fromJson(row.failure) };
}
