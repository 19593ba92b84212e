import { GlasshouseError } from "../domain/errors.ts";
import type { Lifetime } from "../domain/template.ts";
import { formatDuration, parseDuration } from "../lib/duration.ts";

/**
 * When an environment is planned to be destroyed: what was asked for, else the template's default, else its maximum, else
 * never (null). Errors: `invalid-parameters` past the template's maximum.
 */
export function plannedDestruction(of: {
  /** Duration from now; null: never; undefined: as the template says. */
  readonly ttl: string | null | undefined;
  readonly lifetime: Lifetime;
  readonly createdAt: string;
  readonly now: string;
}): string | null {
  const { ttl, lifetime } = of;
  const limitMs = lifetime.maximumMs;
  if (ttl === null) {
    if (limitMs === undefined) return null;
    throw tooLong(limitMs, "it cannot live for ever");
  }
  if (ttl === undefined) {
    const durationMs = lifetime.defaultMs ?? limitMs;
    return durationMs === undefined ? null : after(of.createdAt, durationMs);
  }
  const durationMs = parseDuration(ttl) ?? 0;
  const at = after(of.now, durationMs);
  const ageMs = Date.parse(at) - Date.parse(of.createdAt);
  if (limitMs !== undefined && ageMs > limitMs) throw tooLong(limitMs, `${ttl} from now is more`);
  return at;
}

function tooLong(limitMs: number, why: string): GlasshouseError {
  const message = `Environments of this template live at most ${formatDuration(limitMs)} from their creation: ${why}.`;
  return new GlasshouseError("invalid-parameters", message, {
    details: [{ message, pointer: "/ttl" }],
  });
}

function after(time: string, durationMs: number): string {
  return new Date(Date.parse(time) + durationMs).toISOString();
}
