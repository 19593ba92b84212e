import type { Selectable } from "kysely";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { AppendedEvent, JournalEvent, NewEvent } from "../../../domain/event.ts";
import type { EventRepository } from "../../../ports/repositories.ts";
import { fromJson, toJson } from "./json.ts";
import { atMost, statement } from "./session.ts";
import type { Session } from "./session.ts";
import type { Tables } from "./tables.ts";

const raise = statement<{ readonly sequence: number }>(
  `update "environment" set "sequence" = "sequence" + ? where "id" = ? returning "sequence"`,
);
export const storeSequence = statement(`update "environment" set "sequence" = ? where "id" = ?`);
/** More rows in one statement gain nothing, and each number of rows is a statement of its own to prepare. */
const eventsAtOnce = 8;
const insertEvents = Array.from({ length: eventsAtOnce + 1 }, (_, count) =>
  statement(
    `insert into "event" ("id", "type", "environmentId", "sequence", "subject", "data", "commandId", "runId", "stepId", "time")
     values ${Array.from({ length: count }, () => "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)").join(", ")}`,
  ),
);

const columns = [
  "position",
  "id",
  "type",
  "environmentId",
  "sequence",
  "subject",
  "data",
  "commandId",
  "runId",
  "stepId",
  "time",
] as const;

const columnList = columns.map((column) => `"${column}"`).join(", ");
const selectAfter = statement<Selectable<Tables["event"]>>(
  `select ${columnList} from "event" where "position" > ? order by "position"`,
);

/** Where positions are given after the commit, the newest events have none yet. */
const atEdge = (direction: string) =>
  statement<{ readonly position: number }>(
    `select "position" from "event" where "position" is not null order by "position" ${direction} limit 1`,
  );
const newest = atEdge("desc");
const oldest = atEdge("asc");

export function events(session: Session): EventRepository {
  return {
    append: (added, time) => append(session, added, time),
    async after(position, { environmentId, runId, types, limit }) {
      if (environmentId === undefined && runId === undefined && types === undefined) {
        const rows = await atMost(session, { kept: selectAfter, limit }, position);
        return rows.map((row) => eventOf(row));
      }
      let query = session.db
        .selectFrom("event")
        .select(columns)
        .where("position", ">", position)
        .orderBy("position")
        .limit(limit);
      if (environmentId !== undefined) query = query.where("environmentId", "=", environmentId);
      if (types !== undefined) query = query.where("type", "in", types);
      if (runId !== undefined) {
        // By way of the run's environment: an index of its own would cost a page in every commit.
        query = query
          .where("runId", "=", runId)
          .where("environmentId", "=", (inner) =>
            inner.selectFrom("run").select("run.environmentId").where("run.id", "=", runId),
          );
      }
      return (await query.execute()).map((row) => eventOf(row));
    },
    head: () => edge(session, newest),
    oldest: () => edge(session, oldest),
  };
}

async function append(
  session: Session,
  added: readonly NewEvent[],
  time: string,
): Promise<readonly AppendedEvent[]> {
  if (added.length === 0) return [];
  session.touch("journal");
  const next = await raiseSequences(session, added);
  const written = added.map((event) => {
    const { environmentId } = event;
    const sequence = environmentId === null ? 0 : (next.get(environmentId) ?? 0);
    if (environmentId !== null) next.set(environmentId, sequence + 1);
    return whole(session, { ...event, sequence, time });
  });
  const most = session.dialect.packs ? 1 : eventsAtOnce;
  for (let from = 0; from < written.length; from += most)
    await write(session, written.slice(from, from + most));
  return written;
}

/** The first new sequence number of each environment. */
async function raiseSequences(
  session: Session,
  added: readonly NewEvent[],
): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { environmentId } of added) {
    if (environmentId !== null) counts.set(environmentId, (counts.get(environmentId) ?? 0) + 1);
  }
  const next = new Map<string, number>();
  for (const [environmentId, count] of counts) {
    await session.locks.hold(environmentId);
    const known = await session.locks.take(environmentId, count);
    if (known !== null) {
      await session.run(storeSequence, known + count, environmentId);
      next.set(environmentId, known + 1);
      continue;
    }
    const row = await session.one(raise, count, environmentId);
    if (row === undefined) {
      throw new GlasshouseError(
        "internal",
        `An event names the environment ${environmentId}, which is not in the store.`,
      );
    }
    next.set(environmentId, row.sequence - count + 1);
  }
  return next;
}

function whole(
  session: Session,
  event: NewEvent & { readonly sequence: number; readonly time: string },
): AppendedEvent {
  return {
    ...event,
    id: session.id("event"),
    commandId: event.commandId ?? null,
    runId: event.runId ?? null,
    stepId: event.stepId ?? null,
  };
}

async function write(session: Session, added: readonly AppendedEvent[]): Promise<void> {
  const insert = insertEvents[added.length];
  if (insert === undefined) return;
  const cells = added.flatMap((event) => [
    event.id,
    event.type,
    event.environmentId,
    event.sequence,
    event.subject,
    toJson(event.data),
    event.commandId,
    event.runId,
    event.stepId,
    event.time,
  ]);
  await session.run(insert, ...cells);
}

async function edge(session: Session, which: typeof newest): Promise<number> {
  return (await session.one(which))?.position ?? 0;
}

function eventOf(row: Selectable<Tables["event"]>): JournalEvent {
  return { ...row, data: fromJson(row.data) };
}
