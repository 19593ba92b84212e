import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { sampleGroup, sampleRecord, sampleTemplate } from "../testing/samples.ts";
import { topologicalOrder } from "./graph.ts";
import { planApplyNow, planDestroy, settingsFingerprint, type Fingerprints } from "./planner.ts";
import type { PlannedStep } from "./plan.ts";
import type { GroupRecord } from "./record.ts";
import type { Group, TemplateBody } from "./template.ts";
import type { Values } from "./value.ts";

const fingerprints: Fingerprints = {
  of: (text) => `hmac:${text}`,
  executor: () => ({ behaviour: 1, files: "files" }),
};
const environment = { id: "env_sample", name: "shop", tags: {} };

function plan(
  template: TemplateBody,
  records: readonly GroupRecord[],
  parameters: Values = {},
): readonly PlannedStep[] {
  return planApplyNow({
    template,
    records,
    secrets: [],
    rotations: {},
    scope: { parameters, environment, requires: {}, entrypoints: {} },
    fingerprints,
  });
}

/** The record that an apply of this group with these settings leaves. */
function applied(group: string, of: Group, more: Partial<GroupRecord> = {}): GroupRecord {
  const settings = more.settings ?? { create: ["./make"] };
  return sampleRecord({
    group,
    executor: of.executor,
    upstreams: of.upstreams.map((name) => `sample/${name}`),
    settings,
    fingerprint: settingsFingerprint(of, settings, fingerprints),
    ...more,
  });
}

function brief(steps: readonly PlannedStep[]): readonly string[] {
  return steps.map((step) => `${step.key} ${step.mark}`);
}

const consumer = sampleGroup({
  inputs: ["network"],
  with: { create: ["./make", "${{ groups.network.outputs.id }}"] },
});
const network = sampleGroup({ outputs: ["id"] });

describe("planning an apply", () => {
  test("makes every group of a new environment, in order, and defers those that need outputs", () => {
    const steps = plan(sampleTemplate({ web: consumer, network }), []);
    assert.deepEqual(brief(steps), ["apply:sample/network exact", "apply:sample/web deferred"]);
    assert.deepEqual(steps[1]?.dependsOn, ["apply:sample/network"]);
    assert.equal(
      steps.map((step) => step.reason).join("; "),
      "new group; new group; needs outputs of network",
    );
  });

  test("hands a group's labels to its step, and applies it again when they change", () => {
    const gpu = sampleGroup({ outputs: ["id"], runsOn: ["gpu"] });
    const [made] = plan(sampleTemplate({ network: gpu }), []);
    assert.deepEqual(made?.runsOn, ["gpu"]);
    const before = applied("network", network);
    assert.equal(before.fingerprint?.includes("runsOn"), false);
    const [moved] = plan(sampleTemplate({ network: gpu }), [before]);
    assert.deepEqual([moved?.mark, moved?.reason], ["exact", "it runs on other workers now"]);
    const after = applied("network", gpu, { runsOn: ["gpu"] });
    assert.equal(plan(sampleTemplate({ network: gpu }), [after])[0]?.mark, "unchanged");
    const [back] = plan(sampleTemplate({ network }), [after]);
    assert.deepEqual([back?.mark, back?.runsOn], ["exact", undefined]);
  });

  test("takes a group down where its record says that it was made", () => {
    const record = applied("old", network, { runsOn: ["eu", "gpu"] });
    assert.deepEqual(planDestroy([record])[0]?.runsOn, ["eu", "gpu"]);
    const steps = plan(sampleTemplate({ network }), [record]);
    const removal = steps.find(({ phase }) => phase === "destroy");
    assert.deepEqual(removal?.runsOn, ["eu", "gpu"]);
  });

  test("finds nothing to do when every fingerprint is the same", () => {
    const records = [
      applied("network", network, { outputs: { id: "n-1" } }),
      applied("web", consumer, { settings: { create: ["./make", "n-1"] } }),
    ];
    const steps = plan(sampleTemplate({ network, web: consumer }), records);
    assert.deepEqual(brief(steps), [
      "apply:sample/network unchanged",
      "apply:sample/web unchanged",
    ]);
    assert.ok(
      steps.every((step) => step.dependsOn.length === 0),
      "nothing waits, so nothing needs to be claimed",
    );
  });

  test("runs a group whose settings changed and defers the one that uses its outputs", () => {
    const changed = sampleGroup({
      outputs: ["id"],
      with: { create: ["./make", "${{ parameters.size }}"] },
    });
    const records = [
      applied("network", network, { outputs: { id: "n-1" } }),
      applied("web", consumer, { settings: { create: ["./make", "n-1"] } }),
    ];
    const steps = plan(sampleTemplate({ network: changed, web: consumer }), records, { size: 3 });
    assert.deepEqual(brief(steps), ["apply:sample/network exact", "apply:sample/web deferred"]);
    assert.equal(steps[0]?.reason, "its settings or files changed");
  });

  test("keeps an unchanged group in the graph when it waits on a changed one, so that order holds through it", () => {
    const middle = sampleGroup({ dependsOn: ["network"] });
    const last = sampleGroup({
      dependsOn: ["middle"],
      with: { create: ["./make", "${{ parameters.size }}"] },
    });
    const changed = sampleGroup({ with: { create: ["./make", "${{ parameters.size }}"] } });
    const records = [applied("network", network), applied("middle", middle), applied("last", last)];
    const steps = plan(sampleTemplate({ network: changed, middle, last }), records, { size: 2 });
    assert.deepEqual(brief(steps), [
      "apply:sample/network exact",
      "apply:sample/middle unchanged",
      "apply:sample/last exact",
    ]);
    assert.deepEqual(steps[2]?.dependsOn, ["apply:sample/middle"]);
    assert.deepEqual(steps[1]?.dependsOn, ["apply:sample/network"]);
  });

  test("runs a group again that has drifted or whose last apply did not end well", () => {
    for (const [more, reason] of [
      [{ drift: "drifted" }, "it has drifted"],
      [{ drift: "missing" }, "it has drifted"],
      [{ status: "partial", fingerprint: null }, "its last apply did not end well"],
    ] as const) {
      const [step] = plan(sampleTemplate({ network }), [applied("network", network, more)]);
      assert.deepEqual([step?.reason, step?.mark], [reason, "exact"]);
    }
  });

  test("destroys removed groups last, dependents first, behind one barrier", () => {
    const records = [
      applied("network", network),
      applied("old_base", sampleGroup()),
      applied("old_top", sampleGroup({ dependsOn: ["old_base"] })),
    ];
    const changed = sampleGroup({ with: { create: ["./other"] } });
    const steps = plan(sampleTemplate({ network: changed }), records);
    assert.deepEqual(brief(steps), [
      "apply:sample/network exact",
      "barrier:made exact",
      "destroy:sample/old_base destroy",
      "destroy:sample/old_top destroy",
    ]);
    const dependsOn = Object.fromEntries(steps.map((step) => [step.key, step.dependsOn]));
    assert.deepEqual(dependsOn["destroy:sample/old_top"], ["barrier:made"]);
    assert.deepEqual(dependsOn["destroy:sample/old_base"], ["destroy:sample/old_top"]);
    assert.deepEqual(dependsOn["barrier:made"], ["apply:sample/network"]);
  });

  test("takes a group down by its old record before another executor makes it anew", () => {
    const steps = plan(sampleTemplate({ network: sampleGroup({ executor: "terraform" }) }), [
      applied("network", network),
    ]);
    assert.deepEqual(brief(steps), [
      "destroy:sample/network destroy",
      "apply:sample/network exact",
    ]);
    assert.equal(steps[0]?.executor, "command");
    assert.deepEqual(steps[1]?.dependsOn, ["destroy:sample/network"]);
  });

  test("never shows a secret's value in its fingerprint but notices when it changes", () => {
    const group = sampleGroup({
      with: { create: ["./make"], inputs: { password: "${{ parameters.token }}" } },
    });
    const first = settingsFingerprint(
      group,
      { inputs: { password: { $secret: "sec_1", fingerprint: "f1" } } },
      fingerprints,
    );
    const second = settingsFingerprint(
      group,
      { inputs: { password: { $secret: "sec_2", fingerprint: "f1" } } },
      fingerprints,
    );
    const third = settingsFingerprint(
      group,
      { inputs: { password: { $secret: "sec_2", fingerprint: "f2" } } },
      fingerprints,
    );
    assert.equal(first, second);
    assert.notEqual(second, third);
  });
});

describe("planning a destroy", () => {
  test("goes from the dependents to what they depend on, by the records alone", () => {
    const steps = planDestroy([applied("network", network), applied("web", consumer)]);
    const dependsOn = Object.fromEntries(steps.map((step) => [step.key, step.dependsOn]));
    assert.deepEqual(dependsOn, {
      "destroy:sample/network": ["destroy:sample/web"],
      "destroy:sample/web": [],
    });
  });

  test("cuts a cycle between two versions at the edge of the older record", () => {
    const older = sampleRecord({
      group: "a",
      upstreams: ["sample/b"],
      appliedAt: "2026-01-01T00:00:00.000Z",
    });
    const newer = sampleRecord({
      group: "b",
      upstreams: ["sample/a"],
      appliedAt: "2026-02-01T00:00:00.000Z",
    });
    const dependsOn = Object.fromEntries(
      planDestroy([older, newer]).map((step) => [step.key, step.dependsOn]),
    );
    assert.deepEqual(dependsOn, {
      "destroy:sample/a": ["destroy:sample/b"],
      "destroy:sample/b": [],
    });
  });

  test("gives an order for any records, cycles or not", () => {
    const names = ["a", "b", "c", "d", "e", "f"];
    const edges = fc.array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...names)), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(edges, (pairs) => {
        const records = names.map((group, index) =>
          sampleRecord({
            group,
            upstreams: pairs
              .filter(([from, to]) => from === group && to !== group)
              .map(([, to]) => `sample/${to}`),
            appliedAt: `2026-01-0${index + 1}T00:00:00.000Z`,
          }),
        );
        const steps = planDestroy(records);
        assert.equal(
          topologicalOrder(new Map(steps.map((step) => [step.key, step.dependsOn]))).length,
          names.length,
        );
      }),
    );
  });
});

describe("the plan's law", () => {
  test("every step's upstreams are steps of the same plan, and an order exists", () => {
    const names = Array.from({ length: 12 }, (_, index) => `g${index}`);
    const shape = fc.record({
      edges: fc.array(fc.tuple(fc.nat(11), fc.nat(11)), { maxLength: 30 }),
      changed: fc.array(fc.nat(11), { maxLength: 5 }),
      known: fc.array(fc.nat(11), { maxLength: 12 }),
    });
    fc.assert(
      fc.property(shape, ({ edges, changed, known }) => {
        const groups = Object.fromEntries(
          names.map((name, index) => {
            const dependsOn = [
              ...new Set(
                edges
                  .filter(([from, to]) => Math.max(from, to) === index && from !== to)
                  .map(([from, to]) => `g${Math.min(from, to)}`),
              ),
            ];
            const make = changed.includes(index) ? "./other" : "./make";
            return [name, sampleGroup({ dependsOn, with: { create: [make] } })];
          }),
        );
        const records = known.flatMap((index) => {
          const name = names[index] ?? "";
          return [applied(name, sampleGroup({ dependsOn: groups[name]?.dependsOn ?? [] }))];
        });
        const unique = [...new Map(records.map((record) => [record.group, record])).values()];
        const steps = plan(sampleTemplate(groups), unique);
        const keys = new Set(steps.map((step) => step.key));
        assert.ok(steps.every((step) => step.dependsOn.every((key) => keys.has(key))));
        topologicalOrder(new Map(steps.map((step) => [step.key, step.dependsOn])));
        for (const step of steps) {
          const index = names.indexOf(step.group ?? "");
          const same =
            unique.some((record) => record.group === step.group) && !changed.includes(index);
          assert.equal(step.mark === "unchanged", same, step.key);
        }
      }),
    );
  });
});
