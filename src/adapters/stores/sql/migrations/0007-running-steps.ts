import type { Ddl } from "./ddl.ts";

/**
 * Steps that are being worked on, by worker: where others may have died with theirs this is asked again and again. One
 * process alone asks it when it starts, and need not keep an index for that.
 */
export function runningSteps({ shared }: Ddl): readonly string[] {
  return shared
    ? [`create index "stepRunning" on "step" ("worker") where "status" = 'running'`]
    : [];
}
