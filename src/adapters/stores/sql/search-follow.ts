import type { Selectable } from "kysely";
import {
  searchedTypes,
  searchSubject,
  type SearchSubject,
} from "../../../domain/search-subject.ts";
import { fromJson } from "./json.ts";
import { indexEnvironments, indexTemplates, readSubject } from "./search-index.ts";
import { statement, type Session } from "./session.ts";
import type { Tables } from "./tables.ts";

/** How far the index of search is, and how far it has to go. */
export interface SearchState {
  /** All up to this event of the journal is indexed. */
  readonly position: number;
  /** What all is gone through of as well, and the id up to which that is done. */
  readonly filling: "template" | "environment" | null;
  readonly after: string;
  /** Position of the newest event; 0 without any. */
  readonly head: number;
  /** Position of the oldest event that there is; null without any. */
  readonly oldest: number | null;
}

/**
 * Events that one transaction follows at most, so that nobody waits long for it, and after how many rows it takes no more. Things
 * that are read at once, where that costs less than one after the other.
 */
const mostAtOnce = { events: 128, rows: 256, subjects: 16 } as const;

const look = statement<SearchState>(
  `select "position", "filling", "after", coalesce((select max("position") from "event"), 0) as "head",
     (select min("position") from "event") as "oldest" from "searchPosition"`,
);
const move = statement(`update "searchPosition" set "position" = ?`);
const moveFilling = statement(`update "searchPosition" set "filling" = ?, "after" = ?`);
const fillAll = statement(
  `update "searchPosition" set "position" = ?, "filling" = 'template', "after" = ''`,
);
const types = searchedTypes.map((type) => `'${type}'`).join(", ");
const changes = statement<
  Pick<Selectable<Tables["event"]>, "position" | "type" | "environmentId" | "subject" | "data">
>(
  `select "position", "type", "environmentId", "subject", "data" from "event"
   where "position" > ? and "position" <= ? and "type" in (${types}) order by "position"`,
);

export async function searchState(session: Session): Promise<SearchState> {
  return stateOf(await session.one(look));
}

/** Whether something up to this position of the journal may be missing in the index. */
export function isBehind({ position, filling }: SearchState, head: number): boolean {
  return filling !== null || position < head;
}

/**
 * Indexes some of what the journal says has changed, as it is now, and moves the position in the same transaction. Gives the state
 * after it. One process at a time follows: another one waits for it, or (`passes`) leaves it to that and gets null. Safe to
 * repeat and to be cut off.
 */
export async function followSome(session: Session, passes: boolean): Promise<SearchState | null> {
  const { lockRow } = session.dialect;
  const lock = passes && lockRow !== "" ? `${lockRow} skip locked` : lockRow;
  const row = await session.one(statement<SearchState>(`${look.sql}${lock}`));
  if (row === undefined && passes) return null;
  const state = stateOf(row);
  if (state.filling !== null) return fillSome(session, state);
  if (!isBehind(state, state.head)) return state;
  // Retention was faster: what changed in between is not known, so all is gone through.
  if (state.oldest !== null && state.oldest > state.position + 1) {
    await session.run(fillAll, state.head);
    return { ...state, position: state.head, filling: "template", after: "" };
  }
  return followEvents(session, state);
}

function stateOf(row: SearchState | undefined): SearchState {
  return row ?? { position: 0, filling: null, after: "", head: 0, oldest: null };
}

async function followEvents(session: Session, state: SearchState): Promise<SearchState> {
  const last = Math.min(state.position + mostAtOnce.events, state.head);
  const subjects = new Map<string, SearchSubject & { readonly position: number }>();
  for (const row of await session.all(changes, state.position, last)) {
    const subject = searchSubject({ ...row, data: fromJson(row.data) });
    if (subject === null) continue;
    const key = Object.values(subject).join("\n");
    if (!subjects.has(key)) subjects.set(key, { ...subject, position: row.position });
  }
  const next = await indexSome(session, [...subjects.values()]);
  const position = next === null ? last : next.position - 1;
  await session.run(move, position);
  return { ...state, position };
}

/** Gives the first that is left for another transaction; null: all is done. */
async function indexSome<S extends SearchSubject>(
  session: Session,
  subjects: readonly S[],
): Promise<S | null> {
  const together = session.dialect.packs ? mostAtOnce.subjects : 1;
  let rows = 0;
  for (let from = 0; from < subjects.length; from += together) {
    if (rows >= mostAtOnce.rows) return subjects[from] ?? null;
    const some = subjects.slice(from, from + together);
    // Asked for at once, so that an engine may answer all of them together.
    for (const read of await Promise.all(some.map((subject) => readSubject(session, subject)))) {
      await read.write();
      rows += read.rows;
    }
  }
  return null;
}

async function fillSome(session: Session, state: SearchState): Promise<SearchState> {
  const isTemplate = state.filling === "template";
  const last = isTemplate
    ? await indexTemplates(session, state.after)
    : await indexEnvironments(session, state.after);
  const next = isTemplate ? "environment" : null;
  const filling = last === null ? next : state.filling;
  await session.run(moveFilling, filling, last ?? "");
  return { ...state, filling, after: last ?? "" };
}
