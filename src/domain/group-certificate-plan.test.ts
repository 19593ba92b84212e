import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sampleGroup, sampleRecord, sampleSecret, sampleTemplate } from "../testing/samples.ts";
import type { CertificateFacts } from "./certificate.ts";
import { planApplyNow, planDestroy, settingsFingerprint, type Fingerprints } from "./planner.ts";
import type { PlannedStep } from "./plan.ts";
import type { OwnedSecret } from "./secret.ts";
import type { TemplateBody } from "./template.ts";

const fingerprints: Fingerprints = {
  of: (text) => `hmac:${text}`,
  executor: () => ({ behaviour: 1, files: "files" }),
};
const settings = { path: "shop/tls", role: "web", commonName: "shop.example.com" };
const tls = sampleGroup({
  executor: "vault-certificates",
  with: settings,
  certified: true,
  outputs: ["serial"],
});
const server = sampleGroup({
  with: { create: ["./serve", "${{ groups.tls.outputs.serial }}"] },
  inputs: ["tls"],
  upstreams: ["tls"],
});
const template = sampleTemplate({ tls, server });
const facts: CertificateFacts = {
  serial: "0a",
  issuer: "CN=root",
  notBefore: "2026-01-01T00:00:00.000Z",
  notAfter: "2026-02-01T00:00:00.000Z",
  asked: { role: "web", commonName: "shop.example.com", altNames: [], ttlMs: 1, renewBeforeMs: 0 },
  ofGroup: { mount: "pki" },
  earlier: [],
};

function owned(more: Partial<OwnedSecret> = {}): OwnedSecret {
  return sampleSecret({ name: "tls", kind: "certificate", certificate: facts, ...more });
}

function recordsAt(rotation: number) {
  const serving = { create: ["./serve", "0a"] };
  return [
    sampleRecord({
      group: "tls",
      executor: tls.executor,
      settings,
      outputs: { serial: "0a" },
      fingerprint: settingsFingerprint(tls, settings, { ...fingerprints, rotation }),
    }),
    sampleRecord({
      group: "server",
      upstreams: ["sample/tls"],
      settings: serving,
      fingerprint: settingsFingerprint(server, serving, fingerprints),
    }),
  ];
}

function plan(of: {
  readonly secrets?: readonly OwnedSecret[];
  readonly wanted?: number;
  readonly recorded?: number;
  readonly template?: TemplateBody;
}): readonly PlannedStep[] {
  return planApplyNow({
    template: of.template ?? template,
    records: recordsAt(of.recorded ?? 0),
    secrets: of.secrets ?? [owned()],
    rotations: of.wanted === undefined ? {} : { tls: of.wanted },
    scope: {
      parameters: {},
      environment: { id: "env_sample", name: "shop", tags: {} },
      requires: {},
      entrypoints: {},
    },
    fingerprints,
  });
}

const brief = (steps: readonly PlannedStep[]): readonly string[] =>
  steps.map(({ key, mark }) => `${key} ${mark}`);

describe("planning certificates of groups", () => {
  test("leaves one that is right alone", () => {
    assert.deepEqual(brief(plan({})), [
      "apply:sample/tls unchanged",
      "apply:sample/server unchanged",
    ]);
  });

  test("issues another when one is asked for, runs what uses it, and revokes the one before at the end", () => {
    const steps = plan({ wanted: 1 });
    assert.deepEqual(brief(steps), [
      "apply:sample/tls exact",
      "apply:sample/server deferred",
      "barrier:released exact",
      "revoke:sample/tls exact",
    ]);
    assert.equal(steps[0]?.reason, "another certificate was asked for");
    assert.deepEqual(steps[2]?.dependsOn, ["apply:sample/server"]);
  });

  test("issues none for a wish that is fulfilled", () => {
    const steps = plan({ wanted: 1, recorded: 1, secrets: [owned({ rotation: 1 })] });
    assert.deepEqual(new Set(steps.map(({ mark }) => mark)), new Set(["unchanged"]));
  });

  test("revokes what a run before has left", () => {
    const earlier = [{ serial: "09", notAfter: facts.notAfter, keeper: "vault", mount: "pki" }];
    const steps = plan({ secrets: [owned({ certificate: { ...facts, earlier } })] });
    assert.equal(steps.at(-1)?.key, "revoke:sample/tls");
  });

  test("takes one away with its group, and by no step of its own", () => {
    const gone = plan({ template: sampleTemplate({ server: sampleGroup({}) }) });
    assert.deepEqual(
      gone.map(({ key }) => key).filter((key) => /certificate:|revoke:/u.test(key)),
      [],
    );
    assert.deepEqual(
      planDestroy(recordsAt(0), [owned()]).map(({ key }) => key),
      ["destroy:sample/tls", "destroy:sample/server"],
    );
  });

  test("refuses a declared one in the place of a group's, and the other way round", () => {
    const declaration = {
      description: "",
      role: "web",
      commonName: "a",
      altNames: [],
      ttlMs: 1,
      renewBeforeMs: 0,
      inputs: [],
    };
    const declared = sampleTemplate({ server }, { certificates: { tls: declaration } });
    assert.throws(() => plan({ template: declared }), /has a certificate of the group tls/u);
    const { ofGroup: _group, ...own } = facts;
    assert.throws(
      () => plan({ secrets: [owned({ certificate: own })] }),
      /wants a certificate of the group of that name/u,
    );
  });
});
