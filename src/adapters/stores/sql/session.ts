import type { Kysely } from "kysely";
import type { FoundKind } from "../../../domain/search-document.ts";
import type { IndexedText } from "../../../domain/search-index.ts";
import type { IdKind } from "../../../domain/id.ts";
import type { Topic } from "../../../ports/store.ts";
import type { EndedStep, Fence, StepOutcome } from "../../../ports/work.ts";
import type { Locks } from "./locks.ts";
import type { TextNode } from "./search-text.ts";
import type { StepRow } from "./step-rows.ts";
import type { Tables } from "./tables.ts";

/** What a column holds. Yes or no is bound as 1 or 0 where the engine has no such type. */
export type Cell = string | number | boolean | null | Uint8Array;

/** A step that was taken, with the attempt of its run. */
export type TakenRow = StepRow & { readonly runAttempt: number };

declare const row: unique symbol;

/**
 * A statement of the claim-and-end loop, kept prepared: building it anew each time costs more than running it. `R` is
 * stated beside the text and trusted. Parameters are `?`; an engine that numbers them rewrites the text once.
 */
export interface Statement<R> {
  readonly sql: string;
  readonly [row]?: R;
}

export function statement<R = unknown>(sql: string): Statement<R> {
  return { sql };
}

/**
 * At most so many rows of a kept statement, which ends where its limit belongs. The limit stands in the text, as the next
 * power of two, so that there are few texts: SQLite (3.53) plans a statement with a parameter there anew each time it runs.
 */
export async function atMost<R>(
  session: Session,
  of: { readonly kept: Statement<R>; readonly limit: number },
  ...parameters: readonly Cell[]
): Promise<readonly R[]> {
  const { kept, limit } = of;
  const rows = await session.all(
    statement<R>(`${kept.sql} limit ${roundedUp(limit)}`),
    ...parameters,
  );
  return rows.length > limit ? rows.slice(0, limit) : rows;
}

/** So many placeholders for a list of names, rounded up likewise; `padded` fills them. */
export function placeholders(count: number): string {
  return Array.from({ length: roundedUp(count) }, () => "?").join(", ");
}

/** The list with its last name again until it has as many as there are placeholders. */
export function padded(names: readonly string[]): readonly string[] {
  return Array.from(
    { length: roundedUp(names.length) },
    (_, at) => names[at] ?? names.at(-1) ?? "",
  );
}

function roundedUp(count: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, count)));
}

/** Changes the named columns of the row with this id. Members that are undefined stay as they are. */
export async function patchRow(
  session: Session,
  table: "run" | "environment",
  of: { readonly id: string; readonly patch: Readonly<Record<string, Cell | undefined>> },
): Promise<void> {
  const given = Object.entries(of.patch).flatMap(([column, value]) =>
    value === undefined ? [] : [{ column, value }],
  );
  if (given.length === 0) return;
  // Columns are named by our own code, never by what came in.
  const set = given.map(({ column }) => `"${column}" = ?`).join(", ");
  const kept = statement(`update "${table}" set ${set} where "id" = ?`);
  await session.run(kept, ...given.map(({ value }) => value), of.id);
}

/**
 * The kept statement that inserts a row of these columns, and what to bind to it. `more` is appended to its text. A member
 * that is undefined is no column of it.
 */
export function insertion(
  table: keyof Tables,
  members: Readonly<Record<string, Cell | undefined>>,
  more = "",
): { readonly kept: Statement<unknown>; readonly cells: readonly Cell[] } {
  const columns: string[] = [];
  const cells: Cell[] = [];
  for (const [column, value] of Object.entries(members)) {
    if (value === undefined) continue;
    columns.push(column);
    cells.push(value);
  }
  const last = lastInsertions.get(table);
  if (last?.more === more && areSame(last.columns, columns)) return { kept: last.kept, cells };
  // Columns are named by our own code, never by what came in.
  const names = columns.map((column) => `"${column}"`).join(", ");
  const values = columns.map(() => "?").join(", ");
  const kept = statement(`insert into "${table}" (${names}) values (${values}) ${more}`);
  lastInsertions.set(table, { columns, more, kept });
  return { kept, cells };
}

/** The last one of each table: nearly always the next has the same columns, and writing and finding its text anew costs as much as running it. */
const lastInsertions = new Map<
  keyof Tables,
  {
    readonly columns: readonly string[];
    readonly more: string;
    readonly kept: Statement<unknown>;
  }
>();

function areSame(one: readonly string[], other: readonly string[]): boolean {
  return one.length === other.length && one.every((column, at) => column === other[at]);
}

/** One transaction as the queries see it. Every member throws once the transaction has ended. */
export interface Session {
  readonly db: Kysely<Tables>;
  readonly dialect: Dialect;
  readonly locks: Locks;
  /** The same for all who use the transaction. */
  readonly transaction: object;
  /** Whether a step's end may claim in its place (`TransactOptions.inPlace`). */
  readonly mayClaimInPlace: boolean;
  /** Runs a kept statement and gives its rows. */
  all<R>(kept: Statement<R>, ...parameters: readonly Cell[]): Promise<readonly R[]>;
  /** Runs a kept statement and gives its first row. */
  one<R>(kept: Statement<R>, ...parameters: readonly Cell[]): Promise<R | undefined>;
  /** Runs a kept statement and says how many rows it changed. */
  change(kept: Statement<unknown>, ...parameters: readonly Cell[]): Promise<number>;
  /**
   * Runs a kept statement of which nothing is asked: an engine may send it with the next one. Its error is that of the
   * transaction.
   */
  run(kept: Statement<unknown>, ...parameters: readonly Cell[]): Promise<void>;
  /** As `run`; `then` is given the rows some time before the transaction commits. */
  runThen<R>(
    kept: Statement<R>,
    then: (rows: readonly R[]) => void,
    ...parameters: readonly Cell[]
  ): Promise<void>;
  /**
   * For what must come out well or the transaction fails: an engine may go on before it is known. Its error is then that of
   * the transaction, before any that follows from it.
   */
  sure(outcome: Promise<void>): Promise<void>;
  /** The commit of this transaction wakes those who watch the topic. */
  touch(topic: Topic): void;
  id(kind: IdKind): string;
  /** The time by the clock that leases are counted on, the same for all who share the store. RFC 3339. */
  time(): Promise<string>;
  /** Lets the event loop turn in the middle of long work. Call it between chunks of some milliseconds. */
  pause(): Promise<void>;
}

/** Where database engines differ. */
export interface Dialect {
  /** Appended to the select of a row that the transaction will change or relies on; nothing where there is one writer. */
  readonly lockRow: string;
  /** Which run was served last in each lane, so that claims go round. Lives as long as the process. */
  readonly turns: Map<string, string>;
  /** Whether rows of one statement that are written one by one go to the database as one. */
  readonly packs: boolean;
  readonly fullText: FullText;
  /** In place of the text that takes a step which the transaction has inserted, with the same parameters. */
  readonly takeOwn?: Statement<TakenRow>;
  /**
   * Ends a step in fewer ways to the database and back than the statements that say the same. Null: the fence does not hold,
   * and nothing was changed.
   */
  readonly endStep?: (
    session: Session,
    fence: Fence,
    outcome: StepOutcome,
  ) => Promise<EndedStep | null>;
  /** For tests that show what the fence is for: worker writes are not checked. */
  readonly unsafeWithoutFence: boolean;
}

/** How an engine keeps words and asks for them. */
export interface FullText {
  /** Kept statements that put a thing into the index: the columns of a document, then `cells`. */
  readonly put: Readonly<Record<FoundKind, Statement<unknown>>>;
  /** What its columns of words hold. */
  cells(text: IndexedText): readonly Cell[];
  /** Selects the numbers of so many documents that fit the pattern, the newest first, of those before a number when one is given. */
  newest(of: { readonly pattern: string; readonly before: number | null; readonly most: number }): {
    readonly sql: string;
    readonly cells: readonly Cell[];
  };
  /** The condition that a document `d` fits a pattern, which is its one parameter. */
  readonly contains: string;
  /** A part of a query as the engine reads it. */
  pattern(node: TextNode): string;
}
