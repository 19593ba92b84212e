import { insertObserved } from "../sql/resource.ts";
import { statement, type Statement, type TakenRow } from "../sql/session.ts";
import { putRecord } from "../sql/record.ts";
import { insertEdge, insertStep } from "../sql/step-insert.ts";
import { indexedStatus } from "../sql/step-rows.ts";
import { take } from "../sql/step-take.ts";
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

/** Claims go round: no step is taken past those that others wait with. */
const alone = `"status" = 'ready' and "step"."runId" = "i"."p4"
  and not exists (select 1 from "step" "others" where "others"."offered" = 1 and "others"."runId" <> "i"."p4")`;

/** Stands for the text that is made below: a step that was inserted as ready in this transaction. */
export const takeOwn: Statement<TakenRow> = statement<TakenRow>("take an own step");

/** Those that their text alone does not tell, and what was worked out since; null where there is none. */
const known = new Map<string, Together | null>([
  inserts(insertStep, "tttttttttt nt tt nn tntn ttttt tttt"),
  inserts(insertEdge, "ttt"),
  inserts(putRecord, "ttttt ntttt tttn tt", (values) => values.slice(0, 3).join("\n")),
  inserts(insertObserved, "tttttttt", (values) => values.slice(0, 4).join("\n")),
  inserts(tsvector.put.observed, "tttttttt", (values) => values.slice(3, 7).join("\n")),
  inserts(tsvector.put.resource, "tttttttt", (values) => String(values[2])),
  // Of its two last parameters one is the first again; the other is the worker's time, where the database's is asked.
  always(take, taking("tttttt", `"status" = "i"."p4"`), (values) => String(values[2])),
  // One after the other of a run, so that each counts those before it.
  always(takeOwn, taking("tttt", alone), (values) => String(values[3])),
  asks(
    tryToHold,
    `select "e"."sequence", "i"."at" from ${rowsOf("t")} join "environment" "e" on "e"."id" = "i"."p1"
     for no key update of "e" skip locked`,
    (values) => String(values[0]),
  ),
  always(endOne, endAll, ([stepId]) => String(stepId)),
]);

/** Parameters: worker, its time, step, and what the condition is about. */
function taking(types: string, condition: string): string {
  return `update "step" set "status" = 'running', "offered" = 0, "token" = "token" + 1, "worker" = "i"."p1",
      "availableAt" = null, "startedAt" = coalesce("startedAt", "i"."p2")
    from ${rowsOf(types)}
    where "step"."id" = "i"."p3" and "offered" <> 0 and ${condition}
      and (select count(*) from "step" "other" where "other"."runId" = "step"."runId"
             and ${isRunning("other")} and ${indexedStatus(`"other"`)})
        < (select "parallelism" from "run" where "run"."id" = "step"."runId")
      and ${mayOwn(`"i"."p1"`, databaseTime)}
    returning "step".*, (select "attempt" from "run" where "run"."id" = "step"."runId") as "runAttempt", "i"."at"`;
}

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
