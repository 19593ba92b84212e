import type { Cell, Statement } from "../sql/session.ts";
import { selectEnvironment } from "../sql/environment.ts";
import { insertEvent, storeSequence } from "../sql/event.ts";
import { putRecord, selectRecord } from "../sql/record.ts";
import { forgetObserved, insertObserved } from "../sql/resource.ts";
import { selectRun } from "../sql/run.ts";
import { addProgress } from "../sql/run-progress.ts";
import { insertAttempt, take } from "../sql/step-claim.ts";
import { insertEdge, insertStep } from "../sql/step-insert.ts";
import { indexedStatus } from "../sql/step-rows.ts";
import { mayOwn } from "../sql/worker.ts";
import { databaseTime } from "./database-time.ts";
import { endAll, endOne } from "./end-step.ts";
import { tryToHold } from "./hold.ts";
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

/** The form for many rows, where there is one. */
export function togetherOf(sql: string): Together | undefined {
  return known.get(sql);
}

const anyKey = (): string => "";

const known = new Map<string, Together>([
  inserts(insertEvent, "tttntttttt"),
  inserts(insertAttempt, "tnttttt"),
  inserts(insertStep, "tttttttttt nt tt nn tntn ttttt tttt"),
  inserts(insertEdge, "ttt"),
  inserts(insertObserved, "tttttttt"),
  inserts(putRecord, "ttttt ntttt tttn tt", (values) => values.slice(0, 3).join("\n")),
  changes(
    storeSequence,
    `update "environment" "e" set "sequence" = "i"."p1" from ${rowsOf("nt")} where "e"."id" = "i"."p2"`,
    (values) => String(values[1]),
  ),
  changes(
    forgetObserved,
    `delete from "observed" "o" using ${rowsOf("ttt")}
     where "o"."environmentId" = "i"."p1" and "o"."template" = "i"."p2" and "o"."group" = "i"."p3"`,
  ),
  asks(
    addProgress,
    `update "run" "r" set "done" = "done" + "i"."p1", "total" = "total" + "i"."p2", "failed" = "failed" + "i"."p3",
       "skipped" = "skipped" + "i"."p4"
     from ${rowsOf("nnnnt")} where "r"."id" = "i"."p5"
     returning "r"."done", "r"."total", "r"."failed", "r"."skipped", "i"."at"`,
    (values) => String(values[4]),
  ),
  always(
    take,
    // Of its two last parameters one is the first again; the other is the worker's time, where the database's is asked.
    `update "step" set "status" = 'running', "offered" = 0, "token" = "token" + 1, "worker" = "i"."p1",
       "availableAt" = null, "startedAt" = coalesce("startedAt", "i"."p2")
     from ${rowsOf("tttttt")}
     where "step"."id" = "i"."p3" and "offered" <> 0 and "status" = "i"."p4"
       and (select count(*) from "step" "other" where "other"."runId" = "step"."runId"
              and "other"."status" = 'running' and "other".${indexedStatus})
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
  asks(
    selectEnvironment,
    `select "e".*, "i"."at" from ${rowsOf("t")} join "environment" "e" on "e"."id" = "i"."p1"`,
  ),
  asks(
    selectRun,
    `select "r".*, "i"."at" from ${rowsOf("t")} join "run" "r" on "r"."id" = "i"."p1"`,
  ),
  asks(
    selectRecord,
    `select "g".*, "i"."at" from ${rowsOf("ttt")} join "groupRecord" "g"
     on "g"."environmentId" = "i"."p1" and "g"."template" = "i"."p2" and "g"."group" = "i"."p3"`,
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
  let parameters = 0;
  const members = sql.slice(opens + "values (".length, closes).replaceAll("?", () => {
    parameters += 1;
    return `"i"."p${parameters}"`;
  });
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

function changes(
  { sql }: Statement<unknown>,
  together: string,
  key: Together["key"] = anyKey,
): [string, Together] {
  return [sql, { sql: together, answers: false, alone: false, key }];
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
