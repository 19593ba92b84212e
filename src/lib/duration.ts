const unitsMs = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1_000,
  ms: 1,
} as const;

const form =
  /^(?:(?<d>\d+)d)?(?:(?<h>\d+)h)?(?:(?<m>\d+)m(?!s))?(?:(?<s>\d+)s)?(?:(?<ms>\d+)ms)?$/u;

/** For schemas and messages: whole numbers with units, largest first. */
export const durationPattern = "^(?=\\d)(\\d+d)?(\\d+h)?(\\d+m(?!s))?(\\d+s)?(\\d+ms)?$";

/**
 * Milliseconds of `48h`, `30d`, `10s`, `500ms` or a sum of them, largest unit first (`1h30m`). Null when the text is
 * anything else, or longer than 2^53 ms.
 */
export function parseDuration(text: string): number | null {
  const found = text.length <= 64 ? form.exec(text)?.groups : undefined;
  if (found === undefined || text === "") return null;
  let totalMs = 0;
  for (const [unit, factorMs] of Object.entries(unitsMs))
    totalMs += Number(found[unit] ?? 0) * factorMs;
  return Number.isSafeInteger(totalMs) ? totalMs : null;
}

/** The shortest form that `parseDuration` reads back: `90000` is `1m30s`. Takes whole milliseconds ≥ 0. */
export function formatDuration(durationMs: number): string {
  let rest = Math.max(0, Math.round(durationMs));
  let text = "";
  for (const [unit, factorMs] of Object.entries(unitsMs)) {
    const count = Math.floor(rest / factorMs);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * factorMs;
  }
  return text === "" ? "0s" : text;
}
