import type { CheckState } from "./check.ts";
import type { Environment } from "./environment.ts";
import type { Resource } from "./resource.ts";
import { checksOf } from "./template-checks.ts";
import type { TemplateBody } from "./template.ts";

/**
 * What checks say of a thing. `unhealthy`: one of them fails; `unknown`: none does, and one was never looked at; there is no health
 * without checks. What was seen last counts while a check cannot be looked at.
 */
export interface Health {
  readonly status: "healthy" | "unhealthy" | "unknown";
  /** Which checks, and what they said last; null when there is nothing to add. */
  readonly reason: string | null;
}

export type CheckStates = ReadonlyMap<string, CheckState>;

export function checkStatesOf(states: readonly CheckState[]): CheckStates {
  return new Map(states.map((state) => [state.key, state]));
}

/** Of the checks with these keys; null when there are none. */
export function healthOf(keys: readonly string[], states: CheckStates): Health | null {
  if (keys.length === 0) return null;
  const known = keys.map((key) => states.get(key) ?? null);
  const seen = known.filter((state) => state !== null);
  const failing = seen.filter(({ status }) => status === "failing");
  const lost = seen.filter(({ lost: reason }) => reason !== null);
  const isWhole = known.every((state) => state?.status === "passing");
  const status = failing.length > 0 ? "unhealthy" : isWhole ? "healthy" : "unknown";
  const said = [...failing.map((state) => failureText(state)), ...lostTexts(lost)];
  return { status, reason: said.length === 0 ? null : said.join("; ") };
}

/** Of each group that has checks: what those of its resources say. */
export function groupHealths(
  body: TemplateBody,
  states: CheckStates,
): ReadonlyMap<string, Health | null> {
  const keys = new Map<string, string[]>();
  for (const { key, group } of checksOf(body))
    if (group !== null) keys.set(group, [...(keys.get(group) ?? []), key]);
  return new Map([...keys].map(([group, own]) => [group, healthOf(own, states)]));
}

export function resourceHealth(
  { checks }: Pick<Resource, "checks">,
  states: CheckStates,
): Health | null {
  return healthOf(checks, states);
}

/** Of all its checks: groups that have failing ones are named. */
export function environmentHealth(body: TemplateBody, states: CheckStates): Health | null {
  const all = checksOf(body);
  const health = healthOf(
    all.map(({ key }) => key),
    states,
  );
  if (health?.status !== "unhealthy") return health;
  const groups = all.flatMap(({ key, group }) =>
    group !== null && states.get(key)?.status === "failing" ? [group] : [],
  );
  const names = [...new Set(groups)];
  if (names.length === 0) return health;
  const named = `${names.length === 1 ? "group" : "groups"} ${listed(names)}: `;
  return { ...health, reason: `${named}${health.reason ?? ""}` };
}

/**
 * Whether its checks decide over its status: all that is wanted was made, and nothing that decides itself is under way. One whose
 * checks did not pass in time is such a one; one whose apply failed is not.
 */
export function isFollowed(
  environment: Pick<Environment, "status" | "generation" | "appliedGeneration">,
): boolean {
  const { status, generation, appliedGeneration } = environment;
  const rests = status === "deployed-ok" || status === "deployed-failed";
  return rests && generation === appliedGeneration;
}

const mostNamed = 3;
const longestDetail = 300;

function failureText({ key, target, detail }: CheckState): string {
  return `check ${key} (${target}): ${detail.slice(0, longestDetail)}`;
}

/** Many checks are lost for one reason. */
function lostTexts(lost: readonly CheckState[]): readonly string[] {
  const reasons = [...new Set(lost.flatMap(({ lost: reason }) => reason ?? []))];
  return reasons.map((reason) => {
    const keys = lost.filter((state) => state.lost === reason).map(({ key }) => key);
    const what = keys.length === 1 ? "check" : "checks";
    return `${what} ${listed(keys)} as last seen: ${reason.slice(0, longestDetail)}`;
  });
}

function listed(names: readonly string[]): string {
  const more = names.length - mostNamed;
  return `${names.slice(0, mostNamed).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
