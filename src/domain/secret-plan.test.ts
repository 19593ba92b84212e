import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sampleGroup, sampleRecord, sampleSecret, sampleTemplate } from "../testing/samples.ts";
import { planApplyNow, planDestroy, settingsFingerprint, type Fingerprints } from "./planner.ts";
import type { PlannedStep } from "./plan.ts";
import type { GroupRecord } from "./record.ts";
import type { OwnedSecret } from "./secret.ts";
import type { TemplateBody } from "./template.ts";

const fingerprints: Fingerprints = {
  of: (text) => `hmac:${text}`,
  executor: () => ({ behaviour: 1, files: "files" }),
};
const environment = { id: "env_sample", name: "shop", tags: {} };
const db = sampleGroup({
  secrets: ["password"],
  with: { create: ["./make"], inputs: { password: "${{ secrets.password }}" } },
});
const web = sampleGroup();
const password = { description: "", length: 32, charset: "alphanumeric" } as const;
const shop = sampleTemplate({ db, web }, { secrets: { password } });
const owned = sampleSecret({ name: "password" });

function plan(
  template: TemplateBody,
  of: {
    readonly records?: readonly GroupRecord[];
    readonly secrets?: readonly OwnedSecret[];
    readonly rotations?: Readonly<Record<string, number>>;
  },
): readonly PlannedStep[] {
  return planApplyNow({
    template,
    records: of.records ?? [],
    secrets: of.secrets ?? [],
    rotations: of.rotations ?? {},
    scope: { parameters: {}, environment, requires: {}, entrypoints: {} },
    fingerprints,
  });
}

function brief(steps: readonly PlannedStep[]): readonly string[] {
  return steps.map(
    ({ key, mark, dependsOn }) => `${key} ${mark}${dependsOn.map((one) => ` <${one}`).join("")}`,
  );
}

const settings = {
  create: ["./make"],
  inputs: { password: { $secret: owned.secretId, fingerprint: owned.fingerprint } },
};
const records = [
  sampleRecord({
    group: "db",
    settings,
    fingerprint: settingsFingerprint(db, settings, fingerprints),
  }),
  sampleRecord({
    group: "web",
    settings: { create: ["./make"] },
    fingerprint: settingsFingerprint(web, { create: ["./make"] }, fingerprints),
  }),
];

describe("planning declared secrets", () => {
  test("makes one before the groups that use it, and no other group waits for it", () => {
    const steps = plan(shop, {});
    assert.deepEqual(brief(steps), [
      "secret:sample/password exact",
      "apply:sample/db deferred <secret:sample/password",
      "apply:sample/web exact",
    ]);
    assert.equal(steps[0]?.reason, "new secret: its value is generated");
    assert.deepEqual(steps[0].changes, [{ address: "secrets.password", action: "create" }]);
    assert.equal(steps[1]?.reason, "new group; needs the secret password");
  });

  test("makes none that is there, and leaves alone what uses it", () => {
    const steps = plan(shop, { records, secrets: [owned] });
    assert.deepEqual(
      steps.map(({ mark }) => mark),
      ["unchanged", "unchanged"],
    );
  });

  test("makes a new version when one is wanted, and runs what uses it again", () => {
    const steps = plan(shop, { records, secrets: [owned], rotations: { password: 1 } });
    assert.deepEqual(brief(steps), [
      "secret:sample/password exact",
      "apply:sample/db deferred <secret:sample/password",
      "apply:sample/web unchanged",
    ]);
    assert.match(steps[0]?.reason ?? "", /asked for: version 2/u);
    assert.equal(steps[1]?.reason, "uses the secret password, which this makes anew");
    const fulfilled = { ...owned, rotation: 1, version: 2 };
    assert.deepEqual(
      plan(shop, { records, secrets: [fulfilled], rotations: { password: 1 } })[0]?.key,
      "apply:sample/db",
    );
  });

  test("runs a group again whose secret has another version than its record names", () => {
    const newer = { ...owned, version: 2, secretId: "sec_2", fingerprint: "f2" };
    const [step] = plan(shop, { records, secrets: [newer] });
    assert.deepEqual([step?.mark, step?.reason], ["exact", "its settings or files changed"]);
  });

  test("takes one that is no longer declared away after everything else", () => {
    const steps = plan(sampleTemplate({ web }), { records, secrets: [owned] });
    assert.deepEqual(brief(steps), [
      "apply:sample/web unchanged",
      "destroy:sample/db destroy",
      "barrier:released exact <destroy:sample/db",
      "secret:sample/password destroy <barrier:released",
    ]);
    const [only] = plan(sampleTemplate({ web }), {
      records: records.slice(1),
      secrets: [owned],
    }).slice(-1);
    assert.deepEqual(only?.dependsOn, []);
  });

  test("goes last when the environment is destroyed", () => {
    const steps = planDestroy(records, [owned]);
    assert.deepEqual(brief(steps).slice(2), [
      "barrier:released exact <destroy:sample/db <destroy:sample/web",
      "secret:sample/password destroy <barrier:released",
    ]);
    assert.deepEqual(brief(planDestroy([], [owned])), ["secret:sample/password destroy"]);
  });
});
