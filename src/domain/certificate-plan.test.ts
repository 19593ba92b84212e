import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sampleGroup, sampleRecord, sampleSecret, sampleTemplate } from "../testing/samples.ts";
import type { CertificateDeclaration } from "./certificate.ts";
import { GlasshouseError } from "./errors.ts";
import type { PlannedStep } from "./plan.ts";
import { planApplyNow, planDestroy, settingsFingerprint, type Fingerprints } from "./planner.ts";
import type { GroupRecord } from "./record.ts";
import type { OwnedSecret } from "./secret.ts";
import type { TemplateBody } from "./template.ts";

const fingerprints: Fingerprints = {
  of: (text) => `hmac:${text}`,
  executor: () => ({ behaviour: 1, files: "files" }),
};
const environment = { id: "env_sample", name: "shop", tags: {} };
const host = sampleGroup({
  with: { create: ["./host", "${{ parameters.at }}"] },
  outputs: ["name"],
});
const server = sampleGroup({
  upstreams: ["host"],
  secrets: ["tls"],
  with: { create: ["./serve"], inputs: { key: "${{ certificates.tls.key }}" } },
});
const tls: CertificateDeclaration = {
  description: "",
  role: "web",
  commonName: "${{ groups.host.outputs.name }}",
  altNames: [],
  ttlMs: 7_200_000,
  renewBeforeMs: 3_600_000,
  inputs: ["host"],
};
const shop = sampleTemplate({ host, server }, { certificates: { tls } });

function owned(commonName: string, more: Partial<OwnedSecret> = {}): OwnedSecret {
  const { role, ttlMs, renewBeforeMs } = tls;
  const times = { notBefore: "2026-01-01T00:00:00.000Z", notAfter: "2026-02-01T00:00:00.000Z" };
  const asked = { role, commonName, altNames: [commonName], ttlMs, renewBeforeMs };
  const certificate = { ...times, asked, serial: "01", issuer: "CN=a", earlier: [] };
  return sampleSecret({ name: "tls", kind: "certificate", certificate, ...more });
}

function plan(
  of: {
    readonly template?: TemplateBody;
    readonly records?: readonly GroupRecord[];
    readonly secrets?: readonly OwnedSecret[];
    readonly rotations?: Readonly<Record<string, number>>;
    readonly at?: string;
  } = {},
): readonly PlannedStep[] {
  return planApplyNow({
    template: of.template ?? shop,
    records: of.records ?? [],
    secrets: of.secrets ?? [],
    rotations: of.rotations ?? {},
    scope: { parameters: { at: of.at ?? "a" }, environment, requires: {}, entrypoints: {} },
    fingerprints,
  });
}

function brief(steps: readonly PlannedStep[]): readonly string[] {
  return steps.map(
    ({ key, mark, dependsOn }) => `${key} ${mark}${dependsOn.map((one) => ` <${one}`).join("")}`,
  );
}

const hostSettings = { create: ["./host", "a"] };
const serverSettings = {
  create: ["./serve"],
  inputs: { key: { $secret: "sec_sample", part: "key", fingerprint: "f#key" } },
};
const records = [
  sampleRecord({
    group: "host",
    settings: hostSettings,
    outputs: { name: "a.example.com" },
    fingerprint: settingsFingerprint(host, hostSettings, fingerprints),
  }),
  sampleRecord({
    group: "server",
    settings: serverSettings,
    fingerprint: settingsFingerprint(server, serverSettings, fingerprints),
  }),
];
const present = owned("a.example.com");

describe("planning declared certificates", () => {
  test("issues one after the groups that give its names, before those that use it", () => {
    const steps = plan();
    assert.deepEqual(brief(steps), [
      "apply:sample/host exact",
      "certificate:sample/tls deferred <apply:sample/host",
      "apply:sample/server deferred <apply:sample/host <certificate:sample/tls",
    ]);
    assert.deepEqual(steps[1]?.changes, [{ address: "certificates.tls", action: "create" }]);
    assert.equal(steps[2]?.reason, "new group; needs the certificate tls");
  });

  test("issues none where the one that is there is for what is asked", () => {
    assert.deepEqual(brief(plan({ records, secrets: [present] })), [
      "apply:sample/host unchanged",
      "apply:sample/server unchanged",
    ]);
  });

  test("issues another when one is wanted, and revokes the one before after all that used it", () => {
    const steps = plan({ records, secrets: [present], rotations: { tls: 1 } });
    assert.deepEqual(brief(steps), [
      "apply:sample/host unchanged",
      "certificate:sample/tls exact",
      "apply:sample/server deferred <certificate:sample/tls",
      "barrier:released exact <apply:sample/server",
      "revoke:sample/tls exact <barrier:released",
    ]);
    assert.deepEqual(steps.at(-1)?.changes, []);
  });

  test("says that it may be another one when a group that gives its name is made again", () => {
    const steps = plan({ records, secrets: [present], at: "b" });
    assert.equal(steps[1]?.mark, "deferred");
    assert.match(steps[1].reason, /names use outputs of host, which this changes/u);
    assert.equal(steps[2]?.mark, "deferred");
  });

  for (const [what, secret] of [
    ["name", owned("b.example.com")],
    ["time", { ...present, certificate: { ...changed(present, { ttlMs: 9 }) } }],
    ["role", { ...present, certificate: { ...changed(present, { role: "other" }) } }],
  ] as const) {
    test(`issues another when the one that is there has another ${what}`, () => {
      const steps = plan({ records, secrets: [secret] });
      assert.match(steps[1]?.reason ?? "", /asks for something else now: version 2 is issued/u);
    });
  }

  test("revokes what an earlier run did not get to", () => {
    const serial = { serial: "00", notAfter: "2026-02-01T00:00:00.000Z", keeper: "embedded" };
    const left = { ...present, certificate: changed(present, {}, [serial]) };
    assert.deepEqual(brief(plan({ records, secrets: [left] })).slice(2), [
      "revoke:sample/tls exact",
    ]);
  });

  test("takes one that is no longer declared away after everything else, and all with the environment", () => {
    const bare = sampleTemplate({ host });
    assert.deepEqual(brief(plan({ template: bare, records, secrets: [present] })), [
      "apply:sample/host unchanged",
      "destroy:sample/server destroy",
      "barrier:released exact <destroy:sample/server",
      "certificate:sample/tls destroy <barrier:released",
    ]);
    assert.equal(planDestroy(records, [present]).at(-1)?.key, "certificate:sample/tls");
  });

  test("refuses a certificate with the name of a secret that is there", () => {
    assert.throws(
      () => plan({ secrets: [sampleSecret({ name: "tls" })] }),
      (error) =>
        error instanceof GlasshouseError &&
        error.code === "conflict" &&
        /has a secret tls, and its template wants a certificate/u.test(error.message),
    );
  });
});

function changed(
  { certificate }: OwnedSecret,
  more: object,
  earlier: NonNullable<OwnedSecret["certificate"]>["earlier"] = [],
): NonNullable<OwnedSecret["certificate"]> {
  assert.ok(certificate !== null);
  return { ...certificate, asked: { ...certificate.asked, ...more }, earlier };
}
