import assert from "node:assert/strict";
import { createPrivateKey, randomUUID, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { ownedSecretName } from "../domain/secret.ts";
import type {
  CertificateAuthority,
  CertificateOrder,
  IssuedCertificate,
} from "../ports/certificates.ts";
import type { SealedSecret } from "../ports/repositories.ts";
import type { SecretKeeper, SecretParts } from "../ports/secrets.ts";

export interface AuthoritySubject {
  /** The same authority each time, as servers that follow one another have it. */
  readonly open: () => Promise<CertificateAuthority>;
  /** What opens the certificates that it has issued. */
  readonly keeper: () => Promise<SecretKeeper>;
  /** What somebody is told who asks whether a number is revoked. */
  readonly isRevoked: (serial: string) => Promise<boolean>;
}

/** What every authority for declared certificates must do. The role is `web`. */
export function testAuthority({ open, keeper, isRevoked }: AuthoritySubject): void {
  const opened = async (of: CertificateOrder, issued: IssuedCertificate): Promise<SecretParts> =>
    (await keeper()).open(stored(of, issued, (await open()).name));

  test("issues a certificate for the names that were asked for, with its key and what is to be trusted", async () => {
    const of = order();
    const issued = await (await open()).issue(of);
    const { certificate = "", key = "", chain = "", ca = "" } = await opened(of, issued);
    const leaf = new X509Certificate(certificate);
    const root = new X509Certificate(ca);
    assert.equal(leaf.subject, `CN=${of.wish.commonName}`);
    assert.ok(leaf.checkHost(of.wish.commonName) !== undefined);
    assert.ok(leaf.checkIP("10.0.0.1") !== undefined);
    assert.ok(leaf.checkPrivateKey(createPrivateKey(key)));
    assert.ok(leaf.checkIssued(root) && leaf.verify(root.publicKey) && root.ca && !leaf.ca);
    assert.ok(chain.startsWith(certificate));
    assert.equal(issued.facts.serial, leaf.serialNumber.toLowerCase());
    assert.equal(Date.parse(issued.facts.notAfter), leaf.validToDate.getTime());
    assert.equal(Buffer.from(issued.made.sealed).includes("PRIVATE"), false);
  });

  test("gives every place and every version a key of its own", async () => {
    const authority = await open();
    const first = order();
    const one = await authority.issue(first);
    const second = { ...first, version: 2, previous: stored(first, one, authority.name) };
    const third = order();
    const keys = [
      (await opened(first, one))["key"],
      (await opened(second, await authority.issue(second)))["key"],
      (await opened(third, await authority.issue(third)))["key"],
      // The version of before can be opened still.
      (await opened(first, one))["key"],
    ];
    assert.equal(new Set(keys).size, 3);
  });

  test("revokes what it is told to, again too, and nothing else", async () => {
    const authority = await open();
    const [first, second] = [order(), order()];
    const [one, two] = [await authority.issue(first), await authority.issue(second)];
    for (let n = 0; n < 2; n += 1)
      await authority.revoke([{ ...one.facts, keeper: authority.name }], first.signal);
    assert.equal(await isRevoked(one.facts.serial), true);
    assert.equal(await isRevoked(two.facts.serial), false);
  });

  test("is content when it is to revoke what it does not know", async () => {
    const authority = await open();
    const notAfter = "2099-01-01T00:00:00.000Z";
    const numbered = { serial: "4a".repeat(16), notAfter, keeper: authority.name };
    await authority.revoke([numbered], AbortSignal.timeout(30_000));
  });

  test("revokes a place's certificates when it is taken away, and is content with what is gone", async () => {
    const authority = await open();
    const of = order();
    const { facts } = await authority.issue(of);
    const issued = [{ ...facts, keeper: authority.name }];
    await authority.remove(of, { issued, signal: of.signal });
    await authority.remove(of, { issued, signal: of.signal });
    assert.equal(await isRevoked(facts.serial), true);
  });

  test("is the same after a restart", async () => {
    const signal = AbortSignal.timeout(30_000);
    const one = await (await open()).view(signal);
    const two = await (await open()).view(signal);
    assert.ok(one !== null);
    assert.equal(one.certificate, two?.certificate);
  });
}

function order(): CertificateOrder {
  const id = randomUUID();
  const commonName = `${id}.example.com`;
  return {
    environmentId: `env_${id}`,
    template: "shop",
    name: "web",
    wish: {
      role: "web",
      commonName,
      altNames: [commonName, "10.0.0.1"],
      ttlMs: 7_200_000,
      renewBeforeMs: 3_600_000,
    },
    version: 1,
    previous: null,
    signal: AbortSignal.timeout(30_000),
  };
}

function stored(of: CertificateOrder, { made }: IssuedCertificate, keeper: string): SealedSecret {
  const { environmentId } = of;
  const name = ownedSecretName({ ...of, kind: "certificate" });
  const createdAt = "2026-01-01T00:00:00.000Z";
  return { ...made, id: "sec_1", environmentId, name, keeper, createdAt };
}
