import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Group, Parameter, TemplateBody } from "../domain/template.ts";
import { compareTemplates } from "./compare.ts";

const parameter: Parameter = {
  type: "integer",
  description: "",
  secret: false,
  immutable: false,
  default: 1,
};
const group: Group = {
  description: "",
  tags: {},
  executor: "command",
  with: {},
  dependsOn: [],
  upstreams: [],
  inputs: [],
  outputs: [],
  resources: {},
  retry: { attempts: 3, backoffMs: 5_000 },
  timeoutMs: 1,
  onFailure: "stop",
};
const body: TemplateBody = {
  formatVersion: 1,
  name: "t",
  version: "1.0.0",
  description: "",
  tags: {},
  parameters: { n: parameter },
  requires: {},
  groups: { a: group },
  outputs: { x: 1 },
  entrypoints: { e: { url: "http://x", description: "" } },
  checks: {},
  actions: { r: { description: "", app: { name: "r", command: ["r"] }, timeoutMs: 1 } },
  lifetime: {},
};

function withParameter(
  change: Partial<Parameter>,
  from: Partial<Parameter> = {},
): readonly string[] {
  const before = { ...body, parameters: { n: { ...parameter, ...from } } };
  const after = { ...body, parameters: { n: { ...parameter, ...from, ...change } } };
  const { breaking, notes } = compareTemplates(before, after);
  return [...breaking.map((one) => `breaking: ${one}`), ...notes.map((one) => `note: ${one}`)];
}

describe("compatibility of versions", () => {
  test("a version is compatible with itself", () => {
    assert.deepEqual(compareTemplates(body, body), { breaking: [], notes: [] });
  });

  test("labels that change are worth knowing", () => {
    const moved = { ...body, groups: { a: { ...group, runsOn: ["eu", "gpu"] } } };
    assert.deepEqual(compareTemplates(body, moved).notes, [
      "the group a runs on workers that offer eu, gpu now: an update applies it again there",
    ]);
    assert.deepEqual(compareTemplates(moved, body).notes, [
      "the group a runs on any worker now: an update applies it again there",
    ]);
  });

  test("a new required parameter, a removed output and a changed type are breaking", () => {
    const { default: _none, ...required } = parameter;
    const found = compareTemplates(body, {
      ...body,
      parameters: { n: { ...parameter, type: "string", default: "1" }, m: required },
      outputs: {},
    });
    assert.deepEqual(found.breaking, [
      "the parameter n changes its type from integer to string",
      "the parameter m is new and required",
      "the output x is gone: environments may require it",
    ]);
  });

  test("a new parameter with a default and a new output are not", () => {
    const found = compareTemplates(body, {
      ...body,
      parameters: { n: parameter, m: parameter },
      outputs: { x: 1, y: 2 },
    });
    assert.deepEqual(found, {
      breaking: [],
      notes: ["the parameter m is new, with the default 1", "the output y is new"],
    });
  });

  test("rules that refuse what was taken before are breaking, looser ones are not", () => {
    assert.match(
      withParameter({ minimum: 2 }, { minimum: 1 })[0] ?? "",
      /^breaking: .*minimum is stricter/u,
    );
    assert.match(
      withParameter({ minimum: 0 }, { minimum: 1 })[0] ?? "",
      /^note: .*minimum is looser/u,
    );
    assert.match(withParameter({ maximum: 5 })[0] ?? "", /^breaking: .*maximum is stricter/u);
    assert.match(
      withParameter({ maximum: 9 }, { maximum: 5 })[0] ?? "",
      /^note: .*maximum is looser/u,
    );
    assert.match(
      withParameter({ enum: [1] }, { enum: [1, 2] })[0] ?? "",
      /^breaking: .*no longer takes 2/u,
    );
    assert.match(withParameter({ enum: [1, 2] }, { enum: [1] })[0] ?? "", /^note: .*takes 2 too/u);
    assert.match(withParameter({ pattern: "a" })[0] ?? "", /^breaking: .*match a now/u);
    assert.match(withParameter({ secret: true })[0] ?? "", /^breaking: .*secret now/u);
    assert.match(withParameter({ immutable: true })[0] ?? "", /^breaking: .*no longer be changed/u);
  });

  test("another default is a note, but breaking for what cannot change", () => {
    assert.match(withParameter({ default: 2 })[0] ?? "", /^note: .*from 1 to 2/u);
    assert.match(
      withParameter({ default: 2 }, { immutable: true })[0] ?? "",
      /^breaking: .*from 1 to 2/u,
    );
  });

  test("groups that go or move are told, as an update destroys what they made", () => {
    const found = compareTemplates(body, { ...body, groups: { b: group } });
    assert.deepEqual(found.notes, [
      "the group a is gone: an update destroys what it made",
      "the group b is new",
    ]);
    const moved = compareTemplates(body, {
      ...body,
      groups: { a: { ...group, executor: "terraform" } },
    });
    assert.match(moved.notes[0] ?? "", /moves from command to terraform/u);
  });

  test("a new need of another environment and a removed action are breaking", () => {
    const requires = {
      b: { kind: "environment", environment: "base", outputs: ["x"], description: "" },
    } as const;
    assert.deepEqual(compareTemplates(body, { ...body, requires, actions: {} }).breaking, [
      "the environment base is required now (b)",
      "the action r is gone",
    ]);
  });
});
