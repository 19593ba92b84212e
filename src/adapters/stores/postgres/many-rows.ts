import type { Cell } from "../sql/session.ts";
import { columnType } from "./column-types.ts";
import { rowsOf } from "./rows.ts";

/**
 * How a statement is said once for many rows: each of its parameters becomes an array. What a statement costs here is mostly
 * that it is one, not what it does.
 */
export interface Together {
  readonly sql: string;
  /** The answer's rows carry `at`. */
  readonly answers: boolean;
  /** Also for a single row: what the statement itself says does not do here. */
  readonly alone: boolean;
  /** Rows with the same key cannot be in one statement. Empty: any can. */
  readonly key: (values: readonly Cell[]) => string;
}

/** A parameter that a column is compared with or set to, or that is all of a list that the column must not be in. */
const besideColumn = /"(\w+)" (=|<>|<=|>=|<|>|not in \() ?(?:"\w+" \+ )?\?/gu;

/**
 * Works out from a statement's text how it is said for many rows. That can be done where each parameter stands beside a
 * column of a known type, and where no two rows touch the same: an `update` or `delete` is told what to touch by columns that
 * are equal to parameters, and rows of which one such parameter differs touch different things.
 */
export function saidForMany(sql: string): Together | undefined {
  const text = sql.replaceAll(/\s+/gu, " ").trim();
  if (text.startsWith("insert ")) return inserted(text);
  const types = parameterTypes(text);
  if (types === null) return undefined;
  const rows = rowsOf(types);
  if (text.startsWith("select ")) return selected(text, rows);
  return changed(text, rows);
}

/** Null: of some it cannot be said. */
function parameterTypes(text: string): string | null {
  const types = [...text.matchAll(besideColumn)].map(([, column = ""]) => columnType(column));
  if (types.length === 0 || types.length !== countOf(text)) return null;
  return types.includes(null) ? null : types.join("");
}

/** Each row asks for itself, with its own order and limit. */
function selected(sql: string, rows: string): Together | undefined {
  if (/ for (?:no key )?update/u.test(sql)) return undefined;
  const text = `select "q".*, "i"."at" from ${rows} cross join lateral (${numbered(sql)}) "q"`;
  return { sql: text, answers: true, alone: false, key: () => "" };
}

const oneRow =
  /^(?<head>insert into "\w+" \((?<columns>[^()]*)\)) values \((?<members>[^()]*)\)(?<rest> on conflict do nothing)?$/u;

/**
 * Of one row of parameters and constants. Where a row may be left out, those that are not tell; then they are inserted in the
 * order of what follows their id, so that of two transactions with the same keys one waits for the other, and never each for
 * the other.
 */
function inserted(text: string): Together | undefined {
  const { head, columns, members, rest } = oneRow.exec(text)?.groups ?? {};
  if (head === undefined || columns === undefined || members === undefined) return undefined;
  const names = columns.replaceAll(`"`, "").split(", ");
  const given = members
    .split(", ")
    .flatMap((member, at) => (member === "?" ? [names[at] ?? ""] : []));
  const types = given.map((name) => columnType(name));
  if (given.length === 0 || types.includes(null)) return undefined;
  const rows = rowsOf(types.join(""));
  const made = `${head} select ${numbered(members)} from`;
  if (rest === undefined)
    return { sql: `${made} ${rows}`, answers: false, alone: false, key: () => "" };
  const id = given.indexOf("id");
  if (id < 0) return undefined;
  const order = given.flatMap((_, at) => (at === id ? [] : [`"i"."p${at + 1}"`])).join(", ");
  return {
    sql:
      `with "i" as materialized (select * from ${rows}), ` +
      `"made" as (${made} "i" order by ${order}${rest} returning "id") ` +
      `select "i"."at" from "i" join "made" on "made"."id" = "i"."p${id + 1}"`,
    answers: true,
    alone: false,
    key: (values) => String(values[id]),
  };
}

/** `update "table" set … where … returning …`, or `delete from "table" where …`. */
function changed(text: string, rows: string): Together | undefined {
  const [, verb, table = ""] = /^(update|delete from) ("\w+")/u.exec(text) ?? [];
  const where = topLevel(text, " where ");
  if (verb === undefined || where < 0) return undefined;
  const returning = topLevel(text, " returning ");
  const conditions = text.slice(where, returning < 0 ? text.length : returning);
  const telling = tellingParameters(conditions, countOf(text.slice(0, where)));
  if (telling.length === 0) return undefined;
  const said = numbered(text);
  const at = topLevel(said, " where ");
  const joined = `${said.slice(0, at)} ${verb === "update" ? "from" : "using"} ${rows}${said.slice(at)}`;
  return {
    sql:
      returning < 0
        ? `${joined} returning "i"."at"`
        : `${joined.replace(" returning *", ` returning ${table}.*`)}, "i"."at"`,
    answers: true,
    alone: false,
    key: (values) => telling.map((of) => String(values[of])).join("\n"),
  };
}

/** Which parameters must be equal to columns, whatever else holds. `before` are not in the conditions. */
function tellingParameters(conditions: string, before: number): readonly number[] {
  if (topLevel(conditions, " or ") >= 0) return [];
  const telling: number[] = [];
  let at = before;
  for (const { index, 2: operator } of conditions.matchAll(besideColumn)) {
    if (operator === "=" && depthAt(conditions, index) === 0) telling.push(at);
    at += 1;
  }
  return telling;
}

/** The parameters in their order, as members of the rows. */
export function numbered(sql: string): string {
  let parameters = 0;
  return sql.replaceAll("?", () => {
    parameters += 1;
    return `"i"."p${parameters}"`;
  });
}

function countOf(text: string): number {
  return text.split("?").length - 1;
}

/** Where words first stand outside of parentheses; -1 when nowhere. */
function topLevel(text: string, words: string): number {
  for (let at = text.indexOf(words); at >= 0; at = text.indexOf(words, at + 1))
    if (depthAt(text, at) === 0) return at;
  return -1;
}

function depthAt(text: string, at: number): number {
  const before = text.slice(0, at);
  return before.split("(").length - before.split(")").length;
}
