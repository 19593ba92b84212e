import { pino } from "pino";
import type { Log, LogFields } from "../../../ports/telemetry.ts";
import { plainFields } from "./fields.ts";
import { prettyLine } from "./pretty.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export interface LogOptions {
  readonly level: LogLevel;
  /** `json`: a JSON object a line. `pretty`: a line for people. */
  readonly format: "json" | "pretty";
  /** Where lines go; the process's stderr when absent. */
  readonly write?: (line: string) => void;
}

/**
 * A log over pino. Lines are written before the call returns, so the last words of a process that dies are there.
 * Members whose names look like secrets are masked; errors are written with their code, causes and stack.
 */
export function createLog(options: LogOptions): Log {
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: "message",
      formatters: { level: (label) => ({ level: label }) },
    },
    destinationOf(options),
  );
  return {
    debug: (message, fields) => logger.debug(plain(fields), message),
    info: (message, fields) => logger.info(plain(fields), message),
    warn: (message, fields) => logger.warn(plain(fields), message),
    error: (message, fields) => logger.error(plain(fields), message),
  };
}

function plain(fields: LogFields | undefined): object {
  return fields === undefined ? {} : plainFields(fields);
}

function destinationOf({ format, write }: LogOptions): { write: (line: string) => void } {
  const stderr = pino.destination({ fd: 2, sync: true });
  const sink = write ?? ((line: string): void => void stderr.write(line));
  return format === "json" ? { write: sink } : { write: (line) => sink(prettyLine(line)) };
}
