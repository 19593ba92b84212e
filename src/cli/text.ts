import { styleText } from "node:util";
import type { Terminal } from "./terminal.ts";

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
type Stream = "out" | "err";

/** Colours text where its stream is a terminal that takes them; NO_COLOR and FORCE_COLOR decide otherwise. */
export function painter(
  terminal: Terminal,
  stream: Stream,
): (style: Style, text: string) => string {
  const colour = hasColour(terminal, stream);
  return (style, text) => (colour ? styleText(style, text, { validateStream: false }) : text);
}

export function hasColour(terminal: Terminal, stream: Stream): boolean {
  const { FORCE_COLOR: force, NO_COLOR: none, TERM: kind } = terminal.env;
  if (force !== undefined && force !== "") return force !== "0" && force !== "false";
  if (none !== undefined && none !== "") return false;
  return (stream === "out" ? terminal.outIsTerminal : terminal.errIsTerminal) && kind !== "dumb";
}

/**
 * Text from elsewhere as it can be shown: control characters, escape sequences and marks that turn the writing direction
 * are spelt out, so that a name or a log line cannot steer the terminal. Tabs become spaces.
 */
export function safe(text: string): string {
  return text
    .replaceAll("\t", "    ")
    .replaceAll(
      /[\p{Cc}\u200E\u200F\u2028-\u202E\u2066-\u2069]/gu,
      (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
}

const wide =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\u33FF\u3400-\u4DBF\u4E00-\u9FFF\uA000-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6]|\p{Emoji_Presentation}/u;

/** Columns that a text takes; colours take none. */
export function widthOf(text: string): number {
  let width = 0;
  for (const letter of uncoloured(text))
    if (!/\p{M}|\p{Cf}/u.test(letter)) width += wide.test(letter) ? 2 : 1;
  return width;
}

/** Cuts text without colours to so many columns. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let kept = "";
  let width = 1;
  for (const letter of text) {
    width += widthOf(letter);
    if (width > columns) break;
    kept += letter;
  }
  return columns < 1 ? "" : `${kept}…`;
}

export function pad(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - widthOf(text)));
}

function uncoloured(text: string): string {
  // Only colours are ours; everything else was made safe.
  return text.replaceAll(new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, "gu"), "");
}

/** `1.2s`, `45.0s`, `3m20s`, `2h5m`. */
export function shortTime(durationMs: number): string {
  const seconds = Math.max(0, durationMs) / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)}s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}m${whole % 60}s`;
  return minutes < 2880
    ? `${Math.floor(minutes / 60)}h${minutes % 60}m`
    : `${Math.floor(minutes / 1440)}d`;
}

/** A time of the server for people: whole seconds. */
export function moment(time: string | null): string {
  return time === null ? "" : time.replace(/\.\d+(?=Z$)/u, "");
}

/** How long ago a time of the server was. */
export function age(time: string | null, nowMs: number): string {
  return time === null
    ? "-"
    : shortTime(Math.max(0, nowMs - Date.parse(time))).replace(/\.\ds$/u, "s");
}
