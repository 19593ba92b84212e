/**
 * Types of what columns hold, by their names, in the letters of rows.ts; all others hold text. A name means the same in every
 * table that has it, but for those of `unclear`.
 */
const wholeNumbers =
  `appliedGeneration attempt attempts behaviour count done failed formatVersion generation logsPruned next number offered
  oldest parallelism position rotation sequence skipped timeoutMs token total waitingOn`.split(
    /\s+/u,
  );
const truths = [
  "closed",
  "drifted",
  "isSealed",
  "killRequested",
  "only",
  "outdated",
  "prospective",
];
const unclear = ["version", "serial", "content", "sealed", "words", "wrapped", "at", "putAt"];

const types = new Map([
  ...wholeNumbers.map((name) => [name, "n"] as const),
  ...truths.map((name) => [name, "b"] as const),
  ...unclear.map((name) => [name, null] as const),
]);

/** Null: its name alone does not tell. */
export function columnType(name: string): string | null {
  const type = types.get(name);
  return type === undefined ? "t" : type;
}
