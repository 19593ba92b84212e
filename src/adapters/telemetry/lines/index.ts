import type { Log, LogFields } from "../../../ports/telemetry.ts";
import { plainFields } from "./fields.ts";
import { patientWriter } from "./patient-writer.ts";
import { prettyLine } from "./pretty.ts";

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
 * A log of lines. They are written before the call returns, so the last words of a process that dies are there; those that
 * nobody reads for a second are lost, and their number is told. Members whose names look like secrets are masked; errors are written with their code, causes and stack.
 */
export function createLog({ level, format, write }: LogOptions): Log {
  const lineOf = (of: Line): string => {
    const line = jsonLine(of);
    return format === "json" ? line : prettyLine(line);
  };
  const out = write ?? patientWriter(2, (lost) => lineOf(lostLines(lost)));
  const at = (own: Exclude<LogLevel, "silent">): Log["info"] => {
    if (ranks[own] < ranks[level]) return () => undefined;
    return (message, fields) => out(lineOf({ level: own, message, fields }));
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

interface Line {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields | undefined;
}

function lostLines(lines: number): Line {
  const message = "Lines of the log were lost: whoever reads it did not keep up";
  return { level: "warn", message, fields: { lines } };
}

function jsonLine({ level, message, fields }: Line): string {
  const time = new Date().toISOString();
  const more = fields === undefined ? {} : plainFields(fields);
  return `${JSON.stringify({ level, time, ...more, message })}\n`;
}
