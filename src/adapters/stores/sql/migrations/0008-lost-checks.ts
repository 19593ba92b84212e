/** Why a check cannot be looked at. A program of before leaves it as it is. */
export function lostChecks(): readonly string[] {
  return [`alter table "checkState" add column "lost" text`];
}
