import { GlasshouseError } from "../domain/errors.ts";
import { ownedSecretName, type OwnedSecret } from "../domain/secret.ts";
import { wantedRotations } from "../domain/secret-plan.ts";
import type { Step } from "../domain/step.ts";
import { isJsonObject } from "../lib/json.ts";
import { timestamp } from "../ports/clock.ts";
import type { SealedSecret } from "../ports/repositories.ts";
import type { SecretKeeper } from "../ports/secrets.ts";
import type { Tx } from "../ports/store.ts";
import type { EngineDeps } from "./deps.ts";
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
  const owned = await deps.store.read((tx) =>
    tx.ownedSecrets.get(place.environmentId, place.template, place.name),
  );
  if (!remove) return makeSecret(deps, { ...of, place, owned });
  if (owned === null) return { kind: "unchanged" };
  await keeperOf(deps, owned.keeper).remove(place, of.signal);
  return { kind: "secretRemoved", owned };
}

async function makeSecret(
  deps: EngineDeps,
  of: SecretStep & {
    readonly place: Pick<OwnedSecret, "environmentId" | "template" | "name">;
    readonly owned: OwnedSecret | null;
  },
): Promise<PerformedSecret> {
  const { facts, place, owned } = of;
  const declaration = facts.template.body.secrets?.[place.name];
  if (declaration === undefined)
    throw new GlasshouseError("internal", `The template declares no secret ${place.name}.`);
  const rotation = wantedRotations(facts.run, facts.template.name)[place.name] ?? 0;
  if (owned !== null && owned.rotation >= rotation) return { kind: "unchanged" };
  const [keeper] = deps.keepers;
  const version = (owned?.version ?? 0) + 1;
  const made = await keeper.make({ ...place, declaration, version, signal: of.signal });
  const now = timestamp(deps.clock);
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

/** Errors: `not-available` for one that this server does not have. */
export function keeperOf(deps: Pick<EngineDeps, "keepers">, name: string): SecretKeeper {
  const keeper = deps.keepers.find((one) => one.name === name);
  if (keeper !== undefined) return keeper;
  throw new GlasshouseError(
    "not-available",
    `A secret is kept in ${name}, which this server has no connection to: configure ${name} again.`,
  );
}

function inputOf({ id, input }: Step): { readonly secret: string; readonly remove: boolean } {
  if (isJsonObject(input) && typeof input["secret"] === "string")
    return { secret: input["secret"], remove: input["remove"] === true };
  throw new GlasshouseError("internal", `Step ${id} names no secret.`);
}
