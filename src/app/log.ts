import { createLog } from "../adapters/telemetry/lines/index.ts";
import type { Config } from "../contract/config.ts";
import type { Log } from "../ports/telemetry.ts";

/** The server's log on stderr, as `telemetry` says; `auto` writes for people where that is a terminal. */
export function serverLog({ telemetry }: Pick<Config, "telemetry">): Log {
  const format = telemetry.format === "auto" && process.stderr.isTTY ? "pretty" : telemetry.format;
  return createLog({ level: telemetry.level, format: format === "pretty" ? "pretty" : "json" });
}
