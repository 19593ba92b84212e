import { GlasshouseError } from "../domain/errors.ts";
import { ownedSecretName, type OwnedSecret } from "../domain/secret.ts";
import { wantedRotations } from "../domain/secret-plan.ts";
import type { Step } from "../domain/step.ts";
import { isJsonObject } from "../lib/json.ts";
import { timestamp } from "../ports/clock.ts";
import type { SealedSecret } from "../ports/repositories.ts";
import type { SecretKeeper } from "../ports/secrets.ts";
import type { ReadTx, Tx } from "../ports/store.ts";
import type { EngineDeps } from "./deps.ts";
import { fenceOf } from "./executor-context.ts";
import { keeperOf } from "./keeper.ts";
import type { RunFacts } from "./run-cache.ts";

/** What a step of a declared secret came to. */
export type PerformedSecret =
  | { readonly kind: "unchanged" }
  | { readonly kind: "secretMade"; readonly owned: OwnedSecret; readonly sealed: SealedSecret }
  | { readonly kind: "secretRemoved"; readonly owned: OwnedSecret };

interface SecretStep {
  readonly facts: RunFacts;
  readonly step: Step;
  readonly signal: AbortSignal;
}

/**
 * Makes a version of a declared secret, or takes the secret away. The keeper makes no second value for one version, and
 * nothing else sees a value before the transaction that records it; so it may be cut off anywhere and done again.
 */
export async function performSecret(deps: EngineDeps, of: SecretStep): Promise<PerformedSecret> {
  const { step } = of;
  const { secret: name, remove } = inputOf(step);
  const place = { environmentId: step.environmentId, template: step.template, name };
  const known = await deps.store.read((tx) => knownOf(tx, place));
  const { owned, versions } = known;
  if (!remove) return makeSecret(deps, { ...of, ...known, place });
  if (owned === null) return { kind: "unchanged" };
  // Versions of before may be with another keeper.
  for (const keeper of new Set([owned.keeper, ...versions.map((one) => one.keeper)]))
    await keeperOf(deps, keeper).remove(place, of.signal);
  return { kind: "secretRemoved", owned };
}

type Place = Pick<OwnedSecret, "environmentId" | "template" | "name">;

interface Known {
  readonly owned: OwnedSecret | null;
  /** Oldest first. */
  readonly versions: readonly SealedSecret[];
}

async function knownOf(tx: ReadTx, place: Place): Promise<Known> {
  const owned = await tx.ownedSecrets.get(place.environmentId, place.template, place.name);
  if (owned === null) return { owned, versions: [] };
  const all = await tx.secrets.ofEnvironment(place.environmentId);
  return { owned, versions: all.filter((one) => one.name === ownedSecretName(place)) };
}

async function makeSecret(
  deps: EngineDeps,
  of: SecretStep & Known & { readonly place: Place },
): Promise<PerformedSecret> {
  const { facts, place, owned, versions } = of;
  const declaration = facts.template.body.secrets?.[place.name];
  if (declaration === undefined)
    throw new GlasshouseError("internal", `The template declares no secret ${place.name}.`);
  const rotation = wantedRotations(facts.run, facts.template.name)[place.name] ?? 0;
  if (owned !== null && owned.rotation >= rotation) return { kind: "unchanged" };
  const [keeper] = deps.keepers;
  const now = timestamp(deps.clock);
  if (keeper.isOutside && owned === null) await intend(deps, of, { now, keeper });
  const version = (owned?.version ?? 0) + 1;
  const previous = versions.findLast((one) => one.keeper === keeper.name) ?? null;
  const made = await keeper.make({ ...place, declaration, version, previous, signal: of.signal });
  const secretId = deps.clock.id("secret");
  const { rotateMs } = declaration;
  return {
    kind: "secretMade",
    owned: {
      ...place,
      version,
      rotation,
      secretId,
      fingerprint: made.fingerprint,
      keeper: keeper.name,
      createdAt: owned?.createdAt ?? now,
      rotatedAt: now,
      rotateAt: rotateMs === undefined ? null : timestamp(deps.clock, rotateMs),
    },
    sealed: {
      ...made,
      id: secretId,
      environmentId: place.environmentId,
      name: ownedSecretName(place),
      keeper: keeper.name,
      createdAt: now,
    },
  };
}

/** From now on a destroy looks there, also when it is never known whether anything was written. */
async function intend(
  deps: EngineDeps,
  { step, place }: SecretStep & { readonly place: Place },
  { now, keeper }: { readonly now: string; readonly keeper: SecretKeeper },
): Promise<void> {
  await deps.store.transact(async (tx) => {
    await tx.steps.fence(fenceOf(step));
    await tx.ownedSecrets.put({
      ...place,
      version: 0,
      rotation: -1,
      secretId: "",
      fingerprint: "",
      keeper: keeper.name,
      createdAt: now,
      rotatedAt: now,
      rotateAt: null,
    });
  });
}

/** Writes what came of it. Versions of before stay until the secret goes: records of groups may still name them. */
export async function recordSecret(
  tx: Tx,
  performed: Exclude<PerformedSecret, { kind: "unchanged" }>,
): Promise<void> {
  const { owned } = performed;
  if (performed.kind === "secretMade") {
    await tx.secrets.put(performed.sealed);
    return tx.ownedSecrets.put(owned);
  }
  const name = ownedSecretName(owned);
  const versions = await tx.secrets.ofEnvironment(owned.environmentId);
  await tx.secrets.remove(versions.filter((one) => one.name === name).map(({ id }) => id));
  return tx.ownedSecrets.remove(owned.environmentId, owned.template, owned.name);
}

function inputOf({ id, input }: Step): { readonly secret: string; readonly remove: boolean } {
  if (isJsonObject(input) && typeof input["secret"] === "string")
    return { secret: input["secret"], remove: input["remove"] === true };
  throw new GlasshouseError("internal", `Step ${id} names no secret.`);
}
