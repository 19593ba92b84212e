import { GlasshouseError } from "../domain/errors.ts";
import { ownedSecretName, type OwnedSecret } from "../domain/secret.ts";
import type { SecretDeed } from "../domain/secret-plan.ts";
import type { Step } from "../domain/step.ts";
import { isJsonObject } from "../lib/json.ts";
import type { SealedSecret } from "../ports/repositories.ts";
import type { MadeSecret } from "../ports/secrets.ts";
import type { ReadTx, Tx } from "../ports/store.ts";
import type { EngineDeps } from "./deps.ts";
import { fenceOf } from "./fence.ts";
import type { RunFacts } from "./run-cache.ts";

/** What a step of a declared secret or certificate came to. */
export type PerformedSecret =
  | { readonly kind: "unchanged" }
  | { readonly kind: "secretMade"; readonly owned: OwnedSecret; readonly sealed: SealedSecret }
  | { readonly kind: "secretChanged"; readonly owned: OwnedSecret }
  | { readonly kind: "secretRemoved"; readonly owned: OwnedSecret };

export interface SecretStep {
  readonly facts: RunFacts;
  readonly step: Step;
  readonly signal: AbortSignal;
}

export type Place = Pick<OwnedSecret, "environmentId" | "template" | "name" | "kind">;

/** What is known of what a step is about, and what the step is to do. */
export interface Known {
  readonly place: Place;
  readonly does: SecretDeed;
  readonly owned: OwnedSecret | null;
  /** Oldest first. */
  readonly versions: readonly SealedSecret[];
}

export async function knownOf(
  deps: Pick<EngineDeps, "store">,
  step: Step,
  kind: Place["kind"],
): Promise<Known> {
  const { name, does } = inputOf(step);
  const place = { environmentId: step.environmentId, template: step.template, name, kind };
  return deps.store.read(async (tx: ReadTx) => {
    const owned = await tx.ownedSecrets.get(place.environmentId, place.template, name);
    if (owned === null) return { place, does, owned, versions: [] };
    const all = await tx.secrets.ofEnvironment(place.environmentId);
    return {
      place,
      does,
      owned,
      versions: all.filter((one) => one.name === ownedSecretName(place)),
    };
  });
}

/** From now on a destroy looks there, also when it is never known whether anything was made. */
export async function intend(
  deps: Pick<EngineDeps, "store">,
  { step, place }: { readonly step: Step; readonly place: Place },
  { now, keeper }: { readonly now: string; readonly keeper: string },
): Promise<void> {
  await deps.store.transact(async (tx) => {
    await tx.steps.fence(fenceOf(step));
    await tx.ownedSecrets.put({
      ...place,
      version: 0,
      rotation: -1,
      secretId: "",
      fingerprint: "",
      keeper,
      createdAt: now,
      rotatedAt: now,
      rotateAt: null,
      certificate: null,
    });
  });
}

/** The version that was made, as it is to be recorded: the row of the secret, and the sealed value that it now stands for. */
export function madeVersion(
  { place, owned }: Known,
  of: {
    readonly id: string;
    readonly now: string;
    readonly keeper: string;
    readonly made: MadeSecret;
  } & Pick<OwnedSecret, "version" | "rotation" | "rotateAt" | "certificate">,
): PerformedSecret {
  const { id, now, keeper, made, version, rotation, rotateAt, certificate } = of;
  return {
    kind: "secretMade",
    owned: {
      ...place,
      version,
      rotation,
      secretId: id,
      fingerprint: made.fingerprint,
      keeper,
      createdAt: owned?.createdAt ?? now,
      rotatedAt: now,
      rotateAt,
      certificate,
    },
    sealed: {
      ...made,
      id,
      environmentId: place.environmentId,
      name: ownedSecretName(place),
      keeper,
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
  if (performed.kind === "secretMade") await tx.secrets.put(performed.sealed);
  if (performed.kind !== "secretRemoved") return tx.ownedSecrets.put(owned);
  const name = ownedSecretName(owned);
  const versions = await tx.secrets.ofEnvironment(owned.environmentId);
  await tx.secrets.remove(versions.filter((one) => one.name === name).map(({ id }) => id));
  return tx.ownedSecrets.remove(owned.environmentId, owned.template, owned.name);
}

function inputOf({ id, input }: Step): { readonly name: string; readonly does: SecretDeed } {
  if (!isJsonObject(input) || typeof input["secret"] !== "string")
    throw new GlasshouseError("internal", `Step ${id} names no secret.`);
  const does = input["remove"] === true ? "remove" : input["revoke"] === true ? "revoke" : "make";
  return { name: input["secret"], does };
}
