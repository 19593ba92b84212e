import { exclusiveKinds } from "../../../domain/run.ts";

/** Kinds of runs that hold their environment, as members of a list. */
export const exclusive = exclusiveKinds.map((kind) => `'${kind}'`).join(", ");

/** Types of parameters: `t` is text, `n` a whole number, `b` yes or no. Blanks are for people. */
const arrays = new Map([
  ["t", "text[]"],
  ["n", "bigint[]"],
  ["b", "boolean[]"],
]);

/** Parameters that are arrays, as a table `i` of rows with these columns (`p1` … unless they are named) and `at`, from 1. */
export function rowsOf(types: string, names?: readonly string[]): string {
  const kinds = types.replaceAll(" ", "").split("");
  const columns = kinds.map((_, index) => `"${names?.[index] ?? `p${index + 1}`}"`);
  const lists = kinds.map((kind) => `?::${arrays.get(kind) ?? kind}`);
  return `unnest(${lists.join(", ")}) with ordinality as "i"(${[...columns, `"at"`].join(", ")})`;
}

/**
 * Whether a step runs, said so that it is found by its id or its run: the index of what runs holds what has run lately too, and
 * all of it would be gone through.
 */
export function isRunning(step: string): string {
  return `coalesce("${step}"."status", '') = 'running'`;
}
