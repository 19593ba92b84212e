import type { Answer, Parameter } from "../../../clients/postgres/connection.ts";
import type { Cell } from "../sql/session.ts";
import type { Together } from "./many-rows.ts";
import { togetherOf } from "./together.ts";

/** Rows of one statement at most: what one message holds, and how long the server is at it, stays bounded. */
const rowsAtOnce = 500;

interface Asked {
  readonly values: readonly Cell[];
  readonly resolve: (answer: Answer<unknown>) => void;
  readonly reject: (error: unknown) => void;
}

interface Parcel {
  readonly sql: string;
  readonly together: Together | undefined;
  readonly asked: Asked[];
  readonly keys: Set<string>;
}

/** Sends one statement. */
export type Send = (sql: string, values: readonly Parameter[]) => Promise<Answer<unknown>>;

/**
 * Statements that wait to be sent. Those that say the same with other values, and are known to mean the same as one
 * (together.ts), become one. The order of those of one asker is kept; askers do not depend on each other.
 */
export class Packing {
  #parcels: Parcel[] = [];
  /** Where the newest statement of each asker lies. */
  readonly #newest = new Map<object, number>();

  get isEmpty(): boolean {
    return this.#parcels.length === 0;
  }

  add(by: object, sql: string, values: readonly Cell[]): Promise<Answer<unknown>> {
    return new Promise((resolve, reject) => {
      this.#parcelFor(by, sql, values).asked.push({ values, resolve, reject });
    });
  }

  /** Hands over all that waits, in its order. `reason` says, of the error of one, what its askers are told. */
  sendAll(send: Send, reason: (error: unknown) => unknown = (error) => error): void {
    const parcels = this.#parcels;
    this.#parcels = [];
    this.#newest.clear();
    for (const parcel of parcels) sendOne(parcel, { send, reason });
  }

  /** For what can never be sent. */
  refuseAll(error: unknown): void {
    for (const { asked } of this.#parcels.splice(0)) for (const one of asked) one.reject(error);
    this.#newest.clear();
  }

  #parcelFor(by: object, sql: string, values: readonly Cell[]): Parcel {
    const together = togetherOf(sql);
    const key = together?.key(values) ?? "";
    const first = this.#newest.get(by) ?? 0;
    if (together !== undefined)
      for (let at = first; at < this.#parcels.length; at += 1) {
        const parcel = this.#parcels[at];
        if (parcel?.sql !== sql || parcel.asked.length >= rowsAtOnce) continue;
        if (key !== "" && parcel.keys.has(key)) continue;
        parcel.keys.add(key);
        this.#newest.set(by, at);
        return parcel;
      }
    const made: Parcel = { sql, together, asked: [], keys: new Set([key]) };
    this.#newest.set(by, this.#parcels.push(made) - 1);
    return made;
  }
}

function sendOne(
  parcel: Parcel,
  by: { readonly send: Send; readonly reason: (error: unknown) => unknown },
): void {
  const { sql, together, asked } = parcel;
  const [only] = asked;
  if (only === undefined) return;
  const failed = (error: unknown): void => {
    const reason = by.reason(error);
    for (const one of asked) one.reject(reason);
  };
  if (together !== undefined && (asked.length > 1 || together.alone)) {
    const shared = (answer: Answer<unknown>): void => share(answer, asked, together.answers);
    by.send(together.sql, columnsOf(asked)).then(shared, failed);
  } else by.send(sql, only.values).then(only.resolve, failed);
}

function columnsOf(asked: readonly Asked[]): readonly (readonly Cell[])[] {
  const width = asked[0]?.values.length ?? 0;
  return Array.from({ length: width }, (_, column) =>
    asked.map(({ values }) => values[column] ?? null),
  );
}

/** Each row of the answer says whose it is, from 1. */
function share(answer: Answer<unknown>, asked: readonly Asked[], answers: boolean): void {
  const { command, whose = [] } = answer;
  if (!answers) {
    for (const { resolve } of asked) resolve({ rows: [], count: 0, command });
    return;
  }
  const rows: unknown[][] = asked.map(() => []);
  for (const [index, row] of answer.rows.entries()) rows[(whose[index] ?? 0) - 1]?.push(row);
  for (const [index, { resolve }] of asked.entries()) {
    const own = rows[index] ?? [];
    resolve({ rows: own, count: own.length, command });
  }
}
