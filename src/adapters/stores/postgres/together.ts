import type { Statement } from "../sql/session.ts";
import { insertObserved } from "../sql/resource.ts";
import { putRecord } from "../sql/record.ts";
import { take } from "../sql/step-claim.ts";
import { insertEdge, insertStep } from "../sql/step-insert.ts";
import { indexedStatus } from "../sql/step-rows.ts";
import { mayOwn } from "../sql/worker.ts";
import { databaseTime } from "./database-time.ts";
import { endAll, endOne } from "./end-step.ts";
import { tryToHold } from "./hold.ts";
import { numbered, saidForMany, type Together } from "./many-rows.ts";
import { tsvector } from "./full-text.ts";
import { isRunning, rowsOf } from "./rows.ts";

/** The form for many rows, where there is one. */
export function togetherOf(sql: string): Together | undefined {
  const before = known.get(sql);
  if (before !== undefined) return before ?? undefined;
  // What the query builder makes numbers its parameters, and has texts without end.
  if (!sql.includes("?")) return undefined;
  const made = saidForMany(sql);
  known.set(sql, made ?? null);
  return made;
}

const anyKey = (): string => "";

/** Those that their text alone does not tell, and what was worked out since; null where there is none. */
const known = new Map<string, Together | null>([
  inserts(insertStep, "tttttttttt nt tt nn tntn ttttt tttt"),
  inserts(insertEdge, "ttt"),
  inserts(putRecord, "ttttt ntttt tttn tt", (values) => values.slice(0, 3).join("\n")),
  inserts(insertObserved, "tttttttt", (values) => values.slice(0, 4).join("\n")),
  inserts(tsvector.put.observed, "tttttttt", (values) => values.slice(3, 7).join("\n")),
  inserts(tsvector.put.resource, "tttttttt", (values) => String(values[2])),
  always(
    take,
    // Of its two last parameters one is the first again; the other is the worker's time, where the database's is asked.
    `update "step" set "status" = 'running', "offered" = 0, "token" = "token" + 1, "worker" = "i"."p1",
       "availableAt" = null, "startedAt" = coalesce("startedAt", "i"."p2")
     from ${rowsOf("tttttt")}
     where "step"."id" = "i"."p3" and "offered" <> 0 and "status" = "i"."p4"
       and (select count(*) from "step" "other" where "other"."runId" = "step"."runId"
              and ${isRunning("other")} and "other".${indexedStatus})
         < (select "parallelism" from "run" where "run"."id" = "step"."runId")
       and ${mayOwn(`"i"."p1"`, databaseTime)}
     returning "step".*, (select "attempt" from "run" where "run"."id" = "step"."runId") as "runAttempt", "i"."at"`,
    (values) => String(values[2]),
  ),
  asks(
    tryToHold,
    `select "e"."sequence", "i"."at" from ${rowsOf("t")} join "environment" "e" on "e"."id" = "i"."p1"
     for no key update of "e" skip locked`,
    (values) => String(values[0]),
  ),
  always(endOne, endAll, ([stepId]) => String(stepId)),
]);

/** An insert of one row. Whatever its members are made of stays what it is, and so does what follows the row. */
function inserts(
  { sql }: Statement<unknown>,
  types: string,
  key: Together["key"] = anyKey,
): [string, Together] {
  const opens = sql.indexOf("values (");
  const closes = endOf(sql, opens + "values ".length);
  const members = numbered(sql.slice(opens + "values (".length, closes));
  const text = `${sql.slice(0, opens)}select ${members} from ${rowsOf(types)}${sql.slice(closes + 1)}`;
  return [sql, { sql: text, answers: false, alone: false, key }];
}

/** Where the parenthesis that opens there is closed. */
function endOf(sql: string, opens: number): number {
  let depth = 0;
  for (let at = opens; at < sql.length; at += 1) {
    if (sql[at] === "(") depth += 1;
    if (sql[at] === ")") depth -= 1;
    if (depth === 0) return at;
  }
  return sql.length;
}

function asks(
  { sql }: Statement<unknown>,
  together: string,
  key: Together["key"] = anyKey,
): [string, Together] {
  return [sql, { sql: together, answers: true, alone: false, key }];
}

/** For a single row too. */
function always(
  { sql }: Statement<unknown>,
  together: string,
  key: Together["key"],
): [string, Together] {
  return [sql, { sql: together, answers: true, alone: true, key }];
}
