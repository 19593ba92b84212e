import { createHash } from "node:crypto";
import {
  KeyIssuer,
  lines,
  newestKey,
  publicFacts,
  revokeUnrecorded,
  type CertifiedKey,
} from "../../../clients/vault/certified-key.ts";
import { destroyKey } from "../../../clients/vault/kv.ts";
import { readCertificate, revokeSerial } from "../../../clients/vault/pki.ts";
import type { VaultSession } from "../../../clients/vault/session.ts";
import { waitingForPolicy } from "../../../clients/vault/waiting.ts";
import { typedNames } from "../../../domain/certificate-wish.ts";
import { ownedSecretName } from "../../../domain/secret.ts";
import { canonicalJson } from "../../../lib/json.ts";
import type {
  CertificateAuthority,
  CertificateOrder,
  IssuedCertificate,
} from "../../../ports/certificates.ts";
import type { SecretPlace, SecretSealer } from "../../../ports/secrets.ts";
import type { Log } from "../../../ports/telemetry.ts";
import { keyOf, locatorOf, sealLocator } from "./place.ts";

export interface VaultAuthorityOptions {
  readonly session: VaultSession;
  readonly sealer: SecretSealer;
  /** Mount of the KV engine, version 2, that keeps the keys, and folder in it. */
  readonly mount: string;
  readonly prefix: string;
  /** Mount of the PKI engine. */
  readonly pki: string;
  readonly log: Log;
}

/** Vault's PKI engine; keys are made here and kept in its KV engine, one for each certificate of an environment. */
export function vaultAuthority(options: VaultAuthorityOptions): CertificateAuthority {
  const { session, pki: mount } = options;
  const issuer = new KeyIssuer();
  return {
    name: "vault",
    isOutside: true,
    issue: (order) => waitingForPolicy(() => issue(options, issuer, order)),
    revoke: (certificates, signal) =>
      waitingForPolicy(async () => {
        for (const { serial, mount: own = mount } of certificates)
          await revokeSerial(session, serial, { mount: own, signal });
      }),
    remove: (place, { issued, signal }) =>
      waitingForPolicy(async () => {
        const at = certifiedKey(options, place, signal);
        const newest = await newestKey(at);
        if (newest !== null) await revokeUnrecorded(at, newest.kept);
        for (const { serial } of issued) await revokeSerial(session, serial, { mount, signal });
        await destroyKey(session, at.kept, { signal });
      }),
    view: async (signal) => {
      const chain = await readCertificate(session, "ca_chain", { mount, signal });
      const certificate = chain?.text ?? "";
      const revocations = await readCertificate(session, "crl", { mount, signal });
      if (certificate === "") return null;
      return {
        name: "vault",
        certificate: lines(certificate),
        revocations: lines(revocations?.text ?? ""),
      };
    },
  };
}

async function issue(
  options: VaultAuthorityOptions,
  issuer: KeyIssuer,
  order: CertificateOrder,
): Promise<IssuedCertificate> {
  const { sealer } = options;
  const { previous, wish, environmentId } = order;
  const known = previous === null ? 0 : locatorOf(sealer, previous).version;
  const at = certifiedKey(options, order, order.signal);
  const marks = { owner: "glasshouse", environment: environmentId, certificate: order.name };
  const { texts, version } = await issuer.issue(at, {
    ...wish,
    altNames: typedNames(wish.altNames),
    owner: ownerOf(order),
    madeFor: madeForOf(order),
    known,
    marks: known === 0 ? marks : null,
  });
  const of = { environmentId, name: ownedSecretName({ ...order, kind: "certificate" }) };
  const made = sealLocator(sealer, { ...at.kept, version }, of);
  return { made, facts: publicFacts(texts) };
}

function certifiedKey(
  options: VaultAuthorityOptions,
  place: SecretPlace,
  signal: AbortSignal,
): CertifiedKey {
  const { session, pki, log } = options;
  return { session, kept: keyOf(options, place), pki, signal, log };
}

function ownerOf({ environmentId, template, name }: SecretPlace): string {
  return `${environmentId}/${template}/${name}/`;
}

function madeForOf(order: CertificateOrder): string {
  const asked = createHash("sha256")
    .update(canonicalJson({ ...order.wish }))
    .digest("hex");
  return `${ownerOf(order)}${order.version} for ${asked.slice(0, 32)}`;
}
