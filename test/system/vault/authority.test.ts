import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  defaultKeyFile,
  openEmbeddedSecrets,
} from "../../../src/adapters/secrets/embedded/index.ts";
import { vaultAuthority, vaultKeeper } from "../../../src/adapters/secrets/vault/index.ts";
import {
  HttpConnection,
  type HttpAnswer,
  type HttpRequest,
} from "../../../src/clients/http/connection.ts";
import { GlasshouseError } from "../../../src/domain/errors.ts";
import { ownedSecretName } from "../../../src/domain/secret.ts";
import type {
  CertificateAuthority,
  CertificateOrder,
  IssuedCertificate,
} from "../../../src/ports/certificates.ts";
import type { SealedSecret } from "../../../src/ports/repositories.ts";
import type { SecretKeeper, SecretSealer } from "../../../src/ports/secrets.ts";
import { testAuthority } from "../../../src/testing/authority-contract.ts";
import { Vault } from "../../support/vault.ts";
import {
  issuedBy,
  makeInnerPki,
  makePki,
  makeRole,
  type IssuedByVault,
} from "../../support/vault-pki.ts";
import { vaultSkip } from "../../support/vault-program.ts";
import { byToken, openSession, quietLog } from "../../support/vault-session.ts";

/** From the n-th request that is about certificates on, nothing gets through; of that one perhaps the answer alone is lost. */
class CutConnection extends HttpConnection {
  readonly #cut: { readonly after: number; readonly loses: "request" | "answer" };
  sent = 0;

  constructor(url: string, cut: { readonly after: number; readonly loses: "request" | "answer" }) {
    super({ url, name: "Vault", connections: 8 });
    this.#cut = cut;
  }

  override async send(request: HttpRequest): Promise<HttpAnswer> {
    if (request.path.startsWith("/v1/auth/")) return super.send(request);
    const { after: most, loses } = this.#cut;
    this.sent += 1;
    if (this.sent <= most) return super.send(request);
    if (this.sent === most + 1 && loses === "answer") await super.send(request);
    throw new GlasshouseError("unavailable", "The line is cut.");
  }
}

describe("the authority in Vault", { skip: vaultSkip }, () => {
  let vault: Vault;
  let sealer: SecretSealer;
  before(async () => {
    vault = await Vault.start();
    await makePki(vault);
    const directory = join(vault.directory, "keys");
    const keyFile = defaultKeyFile(directory);
    sealer = await openEmbeddedSecrets({ directory, key: keyFile, mayCreate: true });
  });
  after(() => vault.close());

  const kv = { mount: "secret", prefix: "glasshouse" };
  function open(connection?: HttpConnection): CertificateAuthority {
    const { session } = openSession({
      url: vault.url,
      login: byToken(vault.root),
      ...(connection === undefined ? {} : { connection }),
    });
    return vaultAuthority({ session, sealer, ...kv, pki: "pki", log: quietLog });
  }
  function keeper(): SecretKeeper {
    const { session } = openSession({ url: vault.url, login: byToken(vault.root) });
    return vaultKeeper({ session, sealer, ...kv, shared: [] });
  }
  const isRevoked = async (serial: string): Promise<boolean> =>
    (await issuedBy(vault)).some((one) => one.serial === serial && one.revoked);

  testAuthority({ open: async () => open(), keeper: async () => keeper(), isRevoked });

  function issuedFor(of: CertificateOrder): Promise<readonly IssuedByVault[]> {
    const subject = `CN=${of.wish.commonName}`;
    return issuedBy(vault, (pem) => new X509Certificate(pem).subject === subject);
  }

  test("asks for all names, and gives what Vault says", async () => {
    const of = order("env_names");
    const issued = await open().issue(of);
    const parts = await keeper().open(stored(of, issued));
    const certificate = new X509Certificate(parts["certificate"] ?? "");
    assert.equal(
      certificate.subjectAltName,
      "DNS:env-names.example.com, IP Address:10.0.0.1, URI:spiffe://example.com/web",
    );
    assert.equal(issued.facts.serial, certificate.serialNumber.toLowerCase());
    assert.equal(issued.facts.issuer, "CN=Test root");
    const view = await open().view(of.signal);
    assert.equal(view?.certificate, parts["ca"]);
    assert.match(view?.revocations ?? "", /^-----BEGIN X509 CRL-----/u);
    const { body } = await vault.send("GET", "secret/metadata/glasshouse/env_names/shop/web");
    assert.match(JSON.stringify(body), /"owner":"glasshouse"/u);
  });

  test("gives what stands between with the chain, and the root to be trusted", async () => {
    await makeInnerPki(vault);
    const of = order("env_inner");
    const { session } = openSession({ url: vault.url, login: byToken(vault.root) });
    const authority = vaultAuthority({ session, sealer, ...kv, pki: "inner", log: quietLog });
    const issued = await authority.issue(of);
    const { chain = "", ca = "" } = await keeper().open(stored(of, issued));
    const [leaf, between, ...more] = chain
      .split(/(?=-----BEGIN CERTIFICATE-----)/u)
      .map((pem) => new X509Certificate(pem));
    const root = new X509Certificate(ca);
    assert.ok(leaf !== undefined && between !== undefined && more.length === 0);
    assert.ok(leaf.verify(between.publicKey) && between.verify(root.publicKey));
    assert.equal(root.subject, "CN=Test root");
    const view = await authority.view(of.signal);
    assert.ok(view?.certificate.endsWith(ca), "the root is the last that is to be trusted");
    await authority.revoke([{ ...issued.facts, keeper: "vault" }], of.signal);
  });

  for (const loses of ["request", "answer"] as const) {
    test(`cut off at any request, of which the ${loses} is lost, it leaves one that is good`, async () => {
      for (let n = 0, whole = false; !whole; n += 1) {
        assert.ok(n < 20, "it never came to its end");
        const of = order(`env_${loses}_${n}`);
        const line = new CutConnection(vault.url, { after: n, loses });
        whole = await open(line)
          .issue(of)
          .then(
            () => true,
            () => false,
          );
        const issued = await open().issue(of);
        const good = (await issuedFor(of)).filter(({ revoked }) => !revoked);
        assert.deepEqual(
          good.map(({ serial }) => serial),
          [issued.facts.serial],
          `cut off after ${n} requests`,
        );
        const parts = await keeper().open(stored(of, issued));
        assert.equal(parts["certificate"]?.trim(), good[0]?.certificate.trim());
      }
    });

    test(`cut off at any request, of which the ${loses} is lost, a removal leaves nothing that is good`, async () => {
      for (let n = 0, whole = false; !whole; n += 1) {
        assert.ok(n < 20, "it never came to its end");
        const of = order(`env_gone_${loses}_${n}`);
        const line = new CutConnection(vault.url, { after: n, loses });
        whole = await open(line)
          .issue(of)
          .then(
            () => true,
            () => false,
          );
        await open().remove(of, { issued: [], signal: of.signal });
        const good = (await issuedFor(of)).filter(({ revoked }) => !revoked);
        assert.deepEqual(good, [], `cut off after ${n} requests`);
        const path = `secret/metadata/glasshouse/${of.environmentId}/shop/web`;
        assert.equal((await vault.send("GET", path)).status, 404);
      }
    });
  }

  test("several that are asked at once for the same version leave one that is good", async () => {
    for (let n = 0; n < 5; n += 1) {
      const of = order(`env_race_${n}`);
      const tries = await Promise.allSettled(Array.from({ length: 3 }, () => open().issue(of)));
      const issued = await open().issue(of);
      const good = (await issuedFor(of)).filter(({ revoked }) => !revoked);
      assert.deepEqual(
        good.map(({ serial }) => serial),
        [issued.facts.serial],
        tries.map(({ status }) => status).join(),
      );
    }
  });

  test("what was issued for another wish and never heard of is revoked", async () => {
    const first = order("env_wish");
    const lost = await open().issue(first);
    const other = order("env_wish", { wish: { ...first.wish, altNames: ["other.example.com"] } });
    const issued = await open().issue(other);
    assert.ok(await isRevoked(lost.facts.serial));
    assert.ok(!(await isRevoked(issued.facts.serial)));
  });

  test("writes nothing over what somebody else has put there", async () => {
    const of = order("env_foreign");
    const path = "secret/data/glasshouse/env_foreign/shop/web";
    await vault.request("POST", path, { data: { value: "foreign" } });
    await assert.rejects(open().issue(of), has("conflict", /changed by somebody else/u));
    await assert.rejects(
      open().remove(of, { issued: [], signal: of.signal }),
      has("conflict", /changed by somebody else/u),
    );
    assert.match(JSON.stringify((await vault.send("GET", path)).body), /"value":"foreign"/u);
    assert.deepEqual(await issuedFor(of), []);
  });

  for (const [keyType, keyBits, type] of [
    ["rsa", 2_048, "rsa"],
    ["ec", 384, "ec"],
    ["ed25519", 0, "ed25519"],
    ["any", 0, "ec"],
  ] as const) {
    test(`makes a key of the kind that the role wants: ${keyType}`, async () => {
      await makeRole(vault, `of-${keyType}`, { key_type: keyType, key_bits: keyBits });
      const { wish } = order("env_kind");
      const of = order(`env_kind_${keyType}`, { wish: { ...wish, role: `of-${keyType}` } });
      const parts = await keeper().open(stored(of, await open().issue(of)));
      const certificate = new X509Certificate(parts["certificate"] ?? "");
      assert.equal(certificate.publicKey.asymmetricKeyType, type);
    });
  }

  test("a role that is not there, and a name that it does not allow, are said and not waited for", async () => {
    const { wish } = order("env_role");
    const missing = order("env_role", { wish: { ...wish, role: "none" } });
    await assert.rejects(
      open().issue(missing),
      has("not-found", /no role none in a PKI engine at pki/u),
    );
    await makeRole(vault, "narrow", { allow_any_name: false, allowed_domains: ["example.org"] });
    const narrow = order("env_role", { wish: { ...wish, role: "narrow" } });
    const authority = open();
    for (let n = 0; n < 12; n += 1)
      await assert.rejects(
        authority.issue(narrow),
        has("invalid-request", /not allowed by this role/u),
      );
    const { body } = await vault.send("GET", "secret/data/glasshouse/env_role/shop/web");
    assert.match(JSON.stringify(body), /"version":1\b/u, "each refusal has written a version");
  });

  test("waits while its policy denies it, and says which path", async () => {
    await vault.policy("half", 'path "secret/*" { capabilities = ["create", "update", "read"] }');
    const { session } = openSession({
      url: vault.url,
      login: byToken(await vault.token(["half"])),
    });
    const authority = vaultAuthority({ session, sealer, ...kv, pki: "pki", log: quietLog });
    await assert.rejects(
      authority.issue(order("env_denied")),
      has("unavailable", /denies this: .*pki\/roles\/web.*policy/su),
    );
  });

  test("says that it is sealed, and goes on when it is not", async () => {
    const of = order("env_sealed");
    await vault.seal();
    await assert.rejects(open().issue(of), /is sealed/u);
    await vault.unseal();
    await open().issue(of);
  });
});

function has(code: string, words: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof GlasshouseError);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    return true;
  };
}

function order(environment: string, more: Partial<CertificateOrder> = {}): CertificateOrder {
  const commonName = `${environment.replaceAll("_", "-")}.example.com`;
  return {
    environmentId: environment,
    template: "shop",
    name: "web",
    wish: {
      role: "web",
      commonName,
      altNames: [commonName, "10.0.0.1", "spiffe://example.com/web"],
      ttlMs: 7_200_000,
      renewBeforeMs: 3_600_000,
    },
    version: 1,
    previous: null,
    signal: AbortSignal.timeout(60_000),
    ...more,
  };
}

function stored(of: CertificateOrder, { made }: IssuedCertificate): SealedSecret {
  const { environmentId } = of;
  const name = ownedSecretName({ ...of, kind: "certificate" });
  return { ...made, id: "sec_1", environmentId, name, keeper: "vault", createdAt: "" };
}
