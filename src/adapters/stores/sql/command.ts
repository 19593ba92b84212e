import type { Selectable } from "kysely";
import type { Command } from "../../../domain/command.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { CommandRepository } from "../../../ports/repositories.ts";
import { fromJson, toJson, toJsonIfGiven } from "./json.ts";
import { pageOf, readCursor } from "./paging.ts";
import { insertion, padded, placeholders, statement } from "./session.ts";
import type { Session, Statement } from "./session.ts";
import type { Tables } from "./tables.ts";

type CommandRow = Selectable<Tables["command"]>;

const byId = statement<CommandRow>(`select * from "command" where "id" = ?`);
const bySource = statement<CommandRow>(
  `select * from "command" where "source" = ? and "sourceId" = ?`,
);
const ofRun = statement<CommandRow>(`select * from "command" where "runId" = ? order by "number"`);
const settleRun = statement<CommandRow>(
  `update "command" set "status" = ?, "failure" = ?, "finishedAt" = ?
   where "runId" = ? and "status" = 'accepted' returning *`,
);

type OriginRow = Pick<CommandRow, "id" | "reply" | "traceparent" | "correlationId">;

function originsOf(count: number): Statement<OriginRow> {
  return statement<OriginRow>(
    `select "id", "reply", "traceparent", "correlationId" from "command" where "id" in (${placeholders(count)})`,
  );
}

export function commands(session: Session): CommandRepository {
  return {
    insert: (command) => insert(session, command),
    async get(id) {
      const row = await session.one(byId, id);
      return row === undefined ? null : commandOf(row);
    },
    async bySource(source, sourceId) {
      const row = await session.one(bySource, source, sourceId);
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
      const { status, failure, finishedAt } = outcome;
      const rows = await session.all(settleRun, status, toJson(failure), finishedAt, runId);
      return rows.toSorted((a, b) => a.number - b.number).map((row) => commandOf(row));
    },
    async ofRun(runId) {
      const rows = await session.all(ofRun, runId);
      return rows.map((row) => commandOf(row));
    },
    async origins(ids) {
      if (ids.length === 0) return [];
      const rows = await session.all(originsOf(ids.length), ...padded(ids));
      return rows.map((row) => ({ ...row, reply: fromJson(row.reply) }));
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
  const row = {
    ...command,
    data: toJson(command.data),
    failure: toJson(command.failure),
    reply: toJson(command.reply),
  };
  const { kept, cells } = insertion("command", row, "on conflict do nothing");
  await session.sure(onlyOne(session, command, session.change(kept, ...cells)));
}

async function onlyOne(
  session: Session,
  { source, sourceId }: Pick<Command, "source" | "sourceId">,
  inserted: Promise<number>,
): Promise<void> {
  if ((await inserted) === 1) return;
  session.locks.overtaken();
  throw new GlasshouseError(
    "already-exists",
    `A command ${sourceId} of ${source} is in the inbox already; ask for its outcome.`,
  );
}

function select(session: Session) {
  return session.db.selectFrom("command").selectAll();
}

function commandOf(row: Selectable<Tables["command"]>): Command {
  const { number: _number, ...plain } = row;
  return {
    ...plain,
    data: fromJson(row.data),
    failure: fromJson(row.failure),
    reply: fromJson(row.reply),
  };
}
