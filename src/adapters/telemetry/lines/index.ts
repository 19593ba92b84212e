import type { Log, LogFields } from "../../../ports/telemetry.ts";
import { plainFields } from "./fields.ts";
import { prettyLine } from "./pretty.ts";
import { writeWhole } from "./write-whole.ts";

const ranks = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 } as const;

export type LogLevel = keyof typeof ranks;

export interface LogOptions {
  readonly level: LogLevel;
  /** `json`: a JSON object a line. `pretty`: a line for people. */
  readonly format: "json" | "pretty";
  /** Where lines go; the process's stderr when absent. */
  readonly write?: (line: string) => void;
}

/**
 * A log of lines. They are written before the call returns, so the last words of a process that dies are there.
 * Members whose names look like secrets are masked; errors are written with their code, causes and stack.
 */
export function createLog({ level, format, write = toStderr }: LogOptions): Log {
  const at = (own: Exclude<LogLevel, "silent">): Log["info"] => {
    if (ranks[own] < ranks[level]) return () => undefined;
    return (message, fields) => {
      const line = jsonLine({ level: own, message, fields });
      write(format === "json" ? line : prettyLine(line));
    };
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

function jsonLine(of: {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields | undefined;
}): string {
  const { level, message, fields } = of;
  const time = new Date().toISOString();
  const more = fields === undefined ? {} : plainFields(fields);
  return `${JSON.stringify({ level, time, ...more, message })}\n`;
}

function toStderr(line: string): void {
  writeWhole(2, line);
}
