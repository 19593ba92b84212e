import { GlasshouseError } from "../domain/errors.ts";
import { wantedRotations } from "../domain/secret-plan.ts";
import { timestamp } from "../ports/clock.ts";
import type { EngineDeps } from "./deps.ts";
import { keeperOf } from "./keeper.ts";
import {
  intend,
  knownOf,
  madeVersion,
  type Known,
  type PerformedSecret,
  type SecretStep,
} from "./owned-step.ts";

/**
 * Makes a version of a declared secret, or takes the secret away. The keeper makes no second value for one version, and
 * nothing else sees a value before the transaction that records it; so it may be cut off anywhere and done again.
 */
export async function performSecret(deps: EngineDeps, of: SecretStep): Promise<PerformedSecret> {
  const known = await knownOf(deps, of.step, "secret");
  const { place, does, owned, versions } = known;
  if (does === "make") return makeSecret(deps, { ...of, ...known });
  if (owned === null) return { kind: "unchanged" };
  // Versions of before may be with another keeper.
  for (const keeper of new Set([owned.keeper, ...versions.map((one) => one.keeper)]))
    await keeperOf(deps, keeper).remove(place, of.signal);
  return { kind: "secretRemoved", owned };
}

async function makeSecret(deps: EngineDeps, of: SecretStep & Known): Promise<PerformedSecret> {
  const { facts, place, owned, versions } = of;
  const declaration = facts.template.body.secrets?.[place.name];
  if (declaration === undefined)
    throw new GlasshouseError("internal", `The template declares no secret ${place.name}.`);
  const rotation = wantedRotations(facts.run, facts.template.name)[place.name] ?? 0;
  if (owned !== null && owned.rotation >= rotation) return { kind: "unchanged" };
  const [keeper] = deps.keepers;
  const now = timestamp(deps.clock);
  if (keeper.isOutside && owned === null) await intend(deps, of, { now, keeper: keeper.name });
  const version = (owned?.version ?? 0) + 1;
  const previous = versions.findLast((one) => one.keeper === keeper.name) ?? null;
  const made = await keeper.make({ ...place, declaration, version, previous, signal: of.signal });
  const { rotateMs } = declaration;
  const rotateAt =
    rotateMs === undefined ? null : new Date(Date.parse(now) + rotateMs).toISOString();
  const id = deps.clock.id("secret");
  return madeVersion(of, {
    id,
    now,
    keeper: keeper.name,
    made,
    version,
    rotation,
    rotateAt,
    certificate: null,
  });
}
