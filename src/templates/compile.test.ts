import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import type { SettingsShape } from "../domain/settings.ts";
import type { TemplateBody } from "../domain/template.ts";
import { compileTemplate } from "./compile.ts";
import type { ExecutorShape } from "./compile.ts";
import { fileLookup } from "./paths.ts";
import { formatProblem } from "./problem.ts";

const argv = { type: "list", minItems: 1, items: { type: "scalar", argument: true } } as const;
const command: SettingsShape = {
  type: "object",
  fields: {
    create: { ...argv, required: true },
    destroy: argv,
    inputs: { type: "map", values: { type: "any", secret: true } },
    repeatable: { type: "boolean", literal: true },
    leavesProcesses: { type: "boolean", literal: true },
    slots: { type: "integer" },
  },
};
const terraform: SettingsShape = {
  type: "object",
  fields: {
    source: { type: "string", path: true, literal: true, required: true },
    variables: { type: "map", values: { type: "any", secret: true } },
  },
};
const executors: readonly ExecutorShape[] = [
  { name: "command", settings: command },
  { name: "terraform", settings: terraform },
];
const hasFile = fileLookup([
  "web/up",
  "web/down",
  "network/main.tf",
  "database/main.tf",
  "restart",
]);

const shop = `apiVersion: glasshouse/v1
kind: Template
name: web-shop
version: 1.2.0
description: A small shop
tags: { team: shop }
parameters:
  region: { type: string, enum: [west, north], default: west, immutable: true, description: Where }
  nodes: { type: integer, minimum: 1, default: 3, description: How many }
  token: { type: string, secret: true, description: Of the registry }
requires:
  base: { environment: "\${{ parameters.region }}-base", outputs: [network_id] }
  consul: { description: The Consul datacenter, check: { tcp: "localhost:8500" } }
groups:
  network:
    executor: terraform
    with: { source: ./network, variables: { base: "\${{ requires.base.outputs.network_id }}" } }
    outputs: [subnet_id]
    resources: { vnet: { name: Virtual network, links: { docs: "https://example.com/docs" } } }
  database:
    executor: terraform
    with:
      source: ./database
      variables: { subnet: "\${{ groups.network.outputs.subnet_id }}", password: "\${{ parameters.token }}" }
    outputs: [host]
    resources: { primary: {} }
    retry: { attempts: 5 }
    onFailure: abort
  settings:
    executor: command
    with: { create: [./web/up, "\${{ groups.network.outputs.subnet_id }}"] }
  web:
    dependsOn: [settings]
    executor: command
    timeout: 1m
    with:
      create: [./web/up, "\${{ parameters.nodes }}"]
      destroy: [./web/down]
      inputs: { password: "\${{ parameters.token }}" }
      leavesProcesses: true
    outputs: [address]
    resources:
      server:
        count: "\${{ parameters.nodes }}"
        dependsOn: [database.primary, requires.consul]
        checks: { home: { http: "http://\${{ groups.web.outputs.address }}/" } }
outputs: { address: "\${{ groups.web.outputs.address }}" }
entrypoints: { shop: { url: "http://\${{ groups.web.outputs.address }}/", description: The shop } }
checks: { shop: { http: "\${{ entrypoints.shop.url }}health", expect: [200, 204], within: 1m } }
actions: { restart: { app: { name: restart, command: [./restart, "\${{ environment.id }}"] } } }
lifetime: { default: 48h, maximum: 30d }
`;

function compiled(text: string): {
  readonly body: TemplateBody;
  readonly warnings: readonly string[];
} {
  const result = compileTemplate({ file: "template.yaml", text, hasFile, executors });
  if ("body" in result)
    return { body: result.body, warnings: result.warnings.map((one) => formatProblem(one)) };
  return assert.fail(result.problems.map((one) => formatProblem(one)).join("\n"));
}

describe("a good template", () => {
  const { body, warnings } = compiled(shop);

  test("groups wait for what they name, use, and what their resources depend on", () => {
    const edges = Object.entries(body.groups).map(([name, group]) => [
      name,
      group.upstreams,
      group.inputs,
    ]);
    assert.deepEqual(edges, [
      ["network", [], []],
      ["database", ["network"], ["network"]],
      ["settings", ["network"], ["network"]],
      ["web", ["database", "settings"], []],
    ]);
    assert.deepEqual(body.groups["web"]?.dependsOn, ["settings"]);
  });

  test("defaults are filled in and durations are milliseconds", () => {
    const groups = Object.values(body.groups);
    const backoffMs = 5_000;
    assert.deepEqual(
      groups.map((group) => group.retry),
      [3, 5, 3, 3].map((attempts) => ({ attempts, backoffMs })),
    );
    assert.deepEqual(
      groups.map((group) => group.timeoutMs),
      [3_600_000, 3_600_000, 600_000, 60_000],
    );
    assert.deepEqual(
      groups.map((group) => group.onFailure),
      ["stop", "abort", "stop", "stop"],
    );
    assert.deepEqual(body.lifetime, { defaultMs: 172_800_000, maximumMs: 2_592_000_000 });
    assert.deepEqual(body.groups["database"]?.resources["primary"], {
      name: "primary",
      description: "",
      tags: {},
      count: 1,
      links: {},
      checks: {},
      dependsOn: [],
    });
  });

  test("labels are sorted; a check keeps an empty list, which says anywhere", () => {
    const labelled = shop
      .replace("    outputs: [address]\n", "    outputs: [address]\n    runsOn: [gpu, eu]\n")
      .replace('/" } }\noutputs', '/", runsOn: [] } }\noutputs')
      .replace("restart: { app", "restart: { runsOn: [eu], app");
    const { groups, actions } = compiled(labelled).body;
    assert.deepEqual(groups["web"]?.runsOn, ["eu", "gpu"]);
    assert.deepEqual(groups["web"].resources["server"]?.checks["home"]?.runsOn, []);
    assert.deepEqual(actions["restart"]?.runsOn, ["eu"]);
    assert.equal(groups["network"]?.runsOn, undefined);
  });

  test("checks, entrypoints, requirements and actions come out in their final form", () => {
    assert.deepEqual(body.checks["shop"], {
      description: "",
      probe: { http: "${{ entrypoints.shop.url }}health", expect: [200, 204] },
      intervalMs: 30_000,
      timeoutMs: 5_000,
      failures: 3,
      withinMs: 60_000,
    });
    assert.deepEqual(body.entrypoints["shop"]?.description, "The shop");
    assert.deepEqual(body.requires["base"], {
      kind: "environment",
      environment: "${{ parameters.region }}-base",
      outputs: ["network_id"],
      description: "",
    });
    assert.equal(body.requires["consul"]?.kind, "external");
    assert.deepEqual(body.actions["restart"]?.app.command, ["./restart", "${{ environment.id }}"]);
  });

  test("what is risky is warned of, with its place", () => {
    const line = shop.split("\n").findIndex((one) => one.includes("leavesProcesses")) + 1;
    assert.equal(warnings.length, 1);
    assert.ok(
      warnings[0]?.startsWith(`template.yaml:${line}:7: leavesProcesses: what the command`),
    );
  });

  test("it survives being stored as JSON", () => {
    assert.deepEqual(JSON.parse(JSON.stringify(body)), body);
  });
});

describe("warnings", () => {
  test("a missing description and an unused parameter are named", () => {
    const { warnings } = compiled(
      small(
        "parameters: { a: { type: string } }\ngroups: { g: { executor: terraform, with: { source: network } } }\n",
      ),
    );
    assert.equal(warnings.length, 3);
    assert.match(warnings[0] ?? "", /^template\.yaml:3:1: the template has no description/u);
    assert.match(warnings[1] ?? "", /^template\.yaml:5:15: the parameter a is not used/u);
  });

  test("where commands read every parameter, none is called unused", () => {
    const { warnings } = compiled(
      small(
        "description: d\nparameters: { a: { type: string, description: d } }\ngroups: { g: { executor: command, with: { create: [./web/up], repeatable: true } } }\n",
      ),
    );
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? "", /repeatable/u);
  });
});

test("an executor's own check is asked when the form is right, and its pointer becomes a place", () => {
  const strict: ExecutorShape = {
    name: "command",
    settings: command,
    validate: () => [{ message: "this program is too slow", pointer: "/create/1" }],
  };
  const result = compileTemplate({
    file: "t.yaml",
    text: shop,
    hasFile,
    executors: [strict, { name: "terraform", settings: terraform }],
  });
  assert.ok("problems" in result);
  assert.deepEqual(
    result.problems.map((one) => formatProblem(one)),
    ["t.yaml:31:32: this program is too slow", "t.yaml:37:26: this program is too slow"],
  );
});

test("a whole expression may stand for a number, a list or a map where its type fits", () => {
  const text = shop
    .replace("leavesProcesses: true", 'slots: "${{ parameters.nodes + 1 }}"')
    .replace(
      'inputs: { password: "${{ parameters.token }}" }',
      'inputs: "${{ groups.network.outputs }}"',
    );
  assert.deepEqual(compiled(text).body.groups["web"]?.inputs, ["network"]);
});

test("whatever is in the file, the answer is problems with a place in it, never a fault", () => {
  const line = fc.constantFrom(
    ...shop.split("\n"),
    "  - x",
    "? y",
    "&a b",
    "*a",
    "---",
    "!t z",
    "${{ x }}",
    '"',
    "{",
    "]",
    "\u0000",
    "groups: {}",
    "  web: 1",
    "<<: *a",
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 40 }), (lines) => {
      const text = lines.join("\n");
      const result = compileTemplate({ file: "t.yaml", text, hasFile, executors });
      if ("body" in result) return;
      assert.ok(result.problems.length > 0);
      for (const problem of result.problems) {
        assert.ok(
          problem.line >= 1 && problem.line <= lines.length + 1 && problem.column >= 1,
          formatProblem(problem),
        );
      }
    }),
    { numRuns: 200 },
  );
});

test("a change of any one character is taken or refused, never a fault", () => {
  fc.assert(
    fc.property(
      fc.nat(shop.length - 1),
      fc.constantFrom("", "x", ":", "{", "}", '"', "\n", "$", "é", "\t", "#"),
      (at, by) => {
        const text = shop.slice(0, at) + by + shop.slice(at + 1);
        compileTemplate({ file: "t.yaml", text, hasFile, executors });
      },
    ),
    { numRuns: 200 },
  );
});

function small(more: string): string {
  return `apiVersion: glasshouse/v1\nkind: Template\nname: t\nversion: 1.0.0\n${more}`;
}
