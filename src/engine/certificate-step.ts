import type { CertificateFacts, CertificateWish } from "../domain/certificate.ts";
import { certificateWish } from "../domain/certificate-declared.ts";
import { isSameWish, renewalOf } from "../domain/certificate-wish.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { isMade, numberedOf, type OwnedSecret } from "../domain/secret.ts";
import { wantedRotations } from "../domain/secret-plan.ts";
import type { CertificateAuthority } from "../ports/certificates.ts";
import { timestamp } from "../ports/clock.ts";
import type { EngineDeps } from "./deps.ts";
import {
  intend,
  knownOf,
  madeVersion,
  type Known,
  type PerformedSecret,
  type SecretStep,
} from "./owned-step.ts";
import { scopeOf } from "./step-inputs.ts";

/**
 * Issues a version of a declared certificate, revokes those that it replaced, or revokes and takes away all of it. As with
 * secrets, nothing else sees a certificate before the transaction that records it; so it may be cut off anywhere and done
 * again.
 */
export async function performCertificate(
  deps: EngineDeps,
  of: SecretStep,
): Promise<PerformedSecret> {
  const known = await knownOf(deps, of.step, "certificate");
  if (known.does === "make") return issueCertificate(deps, { ...of, ...known });
  const { owned } = known;
  if (owned === null) return { kind: "unchanged" };
  return known.does === "remove"
    ? removeCertificate(deps, { ...of, ...known, owned })
    : revokeEarlier(deps, of, owned);
}

async function issueCertificate(
  deps: EngineDeps,
  of: SecretStep & Known,
): Promise<PerformedSecret> {
  const { facts, place, owned, versions, signal } = of;
  const wish = await wishOf(deps, of);
  const wanted = wantedRotations(facts.run, facts.template.name)[place.name] ?? 0;
  const rotation = Math.max(wanted, owned?.rotation ?? 0);
  const present = owned !== null && isMade(owned) ? owned.certificate : null;
  if (owned?.rotation === rotation && present !== null && isSameWish(present.asked, wish))
    return { kind: "unchanged" };
  const [authority] = deps.authorities;
  const now = timestamp(deps.clock);
  const keeper = authority.name;
  if (authority.isOutside && owned === null) await intend(deps, of, { now, keeper });
  const version = (owned?.version ?? 0) + 1;
  const previous = versions.findLast((one) => one.keeper === keeper) ?? null;
  const issued = await authority.issue({ ...place, wish, version, previous, signal });
  const earlier = owned === null ? [] : numberedOf(owned).filter(({ notAfter }) => notAfter > now);
  const certificate: CertificateFacts = { ...issued.facts, asked: wish, earlier };
  const rotateAt = renewalOf(issued.facts, wish);
  const id = deps.clock.id("secret");
  const { made } = issued;
  return madeVersion(of, { id, now, keeper, made, version, rotation, rotateAt, certificate });
}

/** What its template asks for, now that the groups which its names use have been made. */
async function wishOf(
  deps: EngineDeps,
  { facts, place }: SecretStep & Known,
): Promise<CertificateWish> {
  const declaration = facts.template.body.certificates?.[place.name];
  if (declaration === undefined)
    throw new GlasshouseError("internal", `The template declares no certificate ${place.name}.`);
  const records = await deps.store.read((tx) =>
    tx.records.some(place.environmentId, place.template, declaration.inputs),
  );
  return certificateWish(place.name, declaration, scopeOf(facts, records));
}

async function removeCertificate(
  deps: EngineDeps,
  of: SecretStep & Known & { readonly owned: OwnedSecret },
): Promise<PerformedSecret> {
  const { owned, place, versions, signal } = of;
  const all = numberedOf(owned);
  for (const keeper of new Set([owned.keeper, ...versions.map((one) => one.keeper)])) {
    const issued = all.filter((one) => one.keeper === keeper);
    await authorityOf(deps, keeper).remove(place, { issued, signal });
  }
  return { kind: "secretRemoved", owned };
}

/**
 * Whatever used them has been run again with the newest by now. An environment that requires this one may have been handed
 * an earlier one and runs again only when it is asked to: then they stay until they are over, or this environment goes.
 */
async function revokeEarlier(
  deps: EngineDeps,
  { signal }: SecretStep,
  owned: OwnedSecret,
): Promise<PerformedSecret> {
  const { certificate } = owned;
  if (certificate === null || certificate.earlier.length === 0) return { kind: "unchanged" };
  const users = await deps.store.read((tx) => tx.environments.requiring(owned.environmentId));
  if (users.length > 0) return { kind: "unchanged" };
  for (const keeper of new Set(certificate.earlier.map((one) => one.keeper)))
    await authorityOf(deps, keeper).revoke(
      certificate.earlier.filter((one) => one.keeper === keeper),
      signal,
    );
  return {
    kind: "secretChanged",
    owned: { ...owned, certificate: { ...certificate, earlier: [] } },
  };
}

/** Errors: `not-available` for one that this server does not have. */
function authorityOf({ authorities }: EngineDeps, name: string): CertificateAuthority {
  const authority = authorities.find((one) => one.name === name);
  if (authority !== undefined) return authority;
  throw new GlasshouseError(
    "not-available",
    `A certificate was issued by ${name}, which this server has no connection to: configure ${name} again.`,
  );
}
