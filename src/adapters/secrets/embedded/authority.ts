import { ownedSecretName } from "../../../domain/secret.ts";
import { sealContext } from "../../../domain/value.ts";
import type { CertificateAuthority } from "../../../ports/certificates.ts";
import { timestamp, type Clock } from "../../../ports/clock.ts";
import type { StoredAuthority } from "../../../ports/repositories.ts";
import type { SecretSealer } from "../../../ports/secrets.ts";
import type { Store } from "../../../ports/store.ts";
import type { AuthorityTexts } from "./x509.ts";

interface EmbeddedAuthorityOptions {
  readonly store: Pick<Store, "transact" | "read">;
  readonly sealer: SecretSealer;
  readonly clock: Pick<Clock, "now">;
  /** New certificates come from another one; this one is there for those that it has issued before. */
  readonly isFormer?: boolean;
}

const name = "embedded";
const keyContext = "certificate authority/key";

/**
 * Issues certificates here, under a key that is made when it is first needed and kept sealed in the store, so all who share
 * the store issue under the same one. A certificate whose transaction was not committed has never been seen by anybody, and its
 * key is gone with it; so issuing again is the first time.
 */
export function embeddedAuthority(options: EmbeddedAuthorityOptions): CertificateAuthority {
  const { store, sealer, clock } = options;
  let known: Promise<AuthorityTexts> | null = null;
  const authority = (): Promise<AuthorityTexts> => {
    known ??= open(options).catch((error: unknown) => {
      known = null;
      throw error;
    });
    return known;
  };
  const revoke: CertificateAuthority["revoke"] = async (certificates) => {
    if (certificates.length > 0)
      await store.transact((tx) =>
        tx.certificates.revoke(
          certificates.map(({ serial, notAfter }) => ({ serial, notAfter })),
          timestamp(clock),
        ),
      );
  };
  return {
    name,
    isOutside: false,
    async issue({ environmentId, template, name: certificate, wish }) {
      const { issueCertificate } = await import("./x509.ts");
      const { texts, facts } = await issueCertificate(await authority(), wish, clock.now());
      const owned = ownedSecretName({ template, name: certificate, kind: "certificate" });
      const sealed = sealer.seal(JSON.stringify(texts), sealContext(environmentId, owned));
      return { made: { sealed, fingerprint: sealer.fingerprint(texts.certificate) }, facts };
    },
    revoke,
    remove: (_place, { issued, signal }) => revoke(issued, signal),
    async view() {
      const isThere = options.isFormer !== true || (await stored(options)) !== null;
      if (!isThere) return null;
      const { revocationList } = await import("./x509.ts");
      const texts = await authority();
      const revoked = await store.read((tx) => tx.certificates.revoked(timestamp(clock)));
      const revocations = await revocationList(texts, revoked, clock.now());
      return { name, certificate: texts.certificate, revocations };
    },
  };
}

/** The one that is in the store; made when there is none. Of several that are made at once the first one stays. */
async function open({ store, sealer, clock }: EmbeddedAuthorityOptions): Promise<AuthorityTexts> {
  const kept = (await stored({ store })) ?? (await make({ store, sealer, clock }));
  return { certificate: kept.certificate, key: sealer.open(kept.sealed, keyContext) };
}

async function make({ store, sealer, clock }: EmbeddedAuthorityOptions): Promise<StoredAuthority> {
  const { makeAuthority } = await import("./x509.ts");
  const { certificate, key } = await makeAuthority("Glasshouse embedded authority", clock.now());
  const sealed = sealer.seal(key, keyContext);
  const mine = { name, certificate, sealed, createdAt: timestamp(clock) };
  await store.transact((tx) => tx.certificates.keepAuthority(mine));
  return (await stored({ store })) ?? mine;
}

function stored({
  store,
}: Pick<EmbeddedAuthorityOptions, "store">): Promise<StoredAuthority | null> {
  return store.read((tx) => tx.certificates.authority(name));
}
