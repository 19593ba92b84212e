import type { ElementType } from "./array-bytes.ts";

/** A statement in PostgreSQL's words, with the name under which each connection prepares it once. */
export interface PreparedText {
  readonly text: string;
  /** Absent when so many have names already: it is prepared anew each time. */
  readonly name?: string;
  /** Whether it may change rows. */
  readonly writes: boolean;
  /** Of each parameter that is cast to an array, what its elements are. */
  readonly arrays: ReadonlyMap<number, ElementType>;
}

/** The product has some hundred; lists of names of any length must not add up in every connection's memory. */
const mostNamed = 1_000;

const known = new Map<string, PreparedText>();

const arrayTypes = ["text", "bigint", "boolean"] as const satisfies readonly ElementType[];

/** Part of the names. */
let edition = 0;

/** Numbers the parameters (`?` becomes `$1` …). Our statements have no question mark but for parameters. */
export function prepared(sql: string): PreparedText {
  const before = known.get(sql);
  if (before !== undefined) return before;
  let count = 0;
  const arrays = new Map<number, ElementType>();
  const text = sql.replaceAll("?", (_, at: number) => {
    const type = arrayTypes.find((one) => sql.startsWith(`::${one}[]`, at + 1));
    if (type !== undefined) arrays.set(count, type);
    count += 1;
    return `$${count}`;
  });
  const writes = !/^\s*select\b/iu.test(sql);
  if (known.size >= mostNamed) return { text, writes, arrays };
  const made = { text, name: `g${edition}_${known.size}`, writes, arrays };
  known.set(sql, made);
  return made;
}

/**
 * Gives every statement a new name, so that each connection prepares it anew: for after a change of the schema, by which the
 * server refuses what was prepared before it. Names the statement that was refused, as many are at the same moment.
 */
export function prepareAnew(refused: string): void {
  if (!refused.startsWith(`g${edition}_`)) return;
  edition += 1;
  known.clear();
}
