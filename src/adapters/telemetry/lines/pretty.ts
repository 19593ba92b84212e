/** Turns a JSON line of the log into one line for people: time, level, message, then the other members. */
export function prettyLine(line: string): string {
  const parsed: unknown = JSON.parse(line);
  if (typeof parsed !== "object" || parsed === null) return line;
  const { time, level, message, ...rest } = record(parsed);
  const clock = text(time).slice(11, 23);
  const tail = Object.entries(rest).map(([name, value]) => ` ${name}=${text(value)}`);
  return `${clock} ${text(level).toUpperCase().padEnd(5)} ${escaped(text(message) + tail.join(""))}\n`;
}

function record(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value));
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** A value must not move the terminal's cursor or start a line of its own. */
function escaped(words: string): string {
  return words.replaceAll(
    /[\p{Cc}\u2028\u2029]/gu,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
