import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fakeExecutor } from "../src/testing/fake-executor.ts";
import { getEnvironmentDrift } from "../src/services/environment-drift.ts";
import { getEnvironmentGraph } from "../src/services/environment-graph.ts";
import {
  getEnvironment,
  listEnvironmentChecks,
  listEnvironmentPlans,
  listEnvironmentResources,
  listEnvironmentRuns,
  listEnvironments,
} from "../src/services/environment.ts";
import { journalEdges, listEvents } from "../src/services/event.ts";
import { getPlan } from "../src/services/plan.ts";
import { getResource, listResources } from "../src/services/resource.ts";
import { getRun } from "../src/services/run.ts";
import { getStep, listSteps, readStepLog } from "../src/services/step.ts";
import { getTemplate, listTemplateVersions } from "../src/services/template.ts";
import { chainYaml, createServiceWorld, plainYaml, type ServiceWorld } from "./support/services.ts";

const page = { limit: 10, cursor: null };

const twoYaml = `apiVersion: glasshouse/v1
kind: Template
name: two
version: 1.0.0
groups:
  net: { executor: command, with: { create: [net] }, outputs: [id], resources: { wire: { name: Wire } } }
  web: { executor: command, with: { create: [web, "\${{ groups.net.outputs.id }}"] }, resources: { server: { dependsOn: [net.wire] } } }
`;

describe("reading", () => {
  let w: ServiceWorld;
  let runId = "";
  before(async () => {
    const executor = fakeExecutor({
      observe: (ctx) => ({
        drift: ctx.group === "web" ? "drifted" : "none",
        changes: [{ address: ctx.group, action: "update" }],
        observed: [],
        outputs: null,
      }),
    });
    w = await createServiceWorld({ executors: [executor], start: true });
    for (const yaml of [twoYaml, plainYaml(), chainYaml()]) await w.register(yaml);
    const command = await w.send("environment.create", "seen", { template: "two" });
    runId = command.runId ?? "";
    await w.ended(runId);
  });
  after(() => w.close());

  test("gives environments, their runs, resources and checks by name or id", async () => {
    const { environment } = await getEnvironment(w.services, "seen");
    assert.equal((await getEnvironment(w.services, environment.id)).environment.name, "seen");
    const list = await listEnvironments(w.services, {}, page);
    assert.deepEqual(
      list.items.map((one) => one.environment.name),
      ["seen"],
    );
    const runs = await listEnvironmentRuns(w.services, "seen", page);
    assert.deepEqual(
      runs.items.map(({ run, position }) => [run.id, position]),
      [[runId, null]],
    );
    const { resources, observed } = await listEnvironmentResources(w.services, "seen");
    assert.deepEqual(resources.map((one) => one.key).toSorted(), ["server", "wire"]);
    assert.equal(observed.length, 2);
    const [first] = (await listResources(w.services, page)).items;
    assert.equal(first?.environmentName, "seen");
    assert.equal((await getResource(w.services, first.resource.id)).resource.id, first.resource.id);
    assert.deepEqual(await listEnvironmentChecks(w.services, "seen"), []);
    assert.deepEqual((await listEnvironmentPlans(w.services, "seen", page)).items, []);
  });

  test("gives the graph of groups and resources with their statuses", async () => {
    const { nodes, edges } = await getEnvironmentGraph(w.services, "seen");
    assert.deepEqual(
      nodes.map(({ id, kind, status }) => [id, kind, status]),
      [
        ["net", "group", "present"],
        ["web", "group", "present"],
        ["net.wire", "resource", "present"],
        ["web.server", "resource", "present"],
      ],
    );
    assert.deepEqual(edges, [
      { from: "net", to: "web", kind: "dependsOn" },
      { from: "net", to: "net.wire", kind: "contains" },
      { from: "web", to: "web.server", kind: "contains" },
      { from: "net.wire", to: "web.server", kind: "dependsOn" },
    ]);
  });

  test("shows what is required and missing, and that the run waits for it", async () => {
    const { runId: waiting } = await w.send("environment.create", "lonely", {
      template: "chain",
      parameters: { base: "nowhere" },
    });
    await w.until(waiting ?? "", (run) => run.blocker !== null);
    const [required] = (await getEnvironmentGraph(w.services, "lonely")).nodes;
    assert.deepEqual([required?.name, required?.status], ["nowhere", "missing"]);
    const { run } = await getRun(w.services, waiting ?? "");
    assert.deepEqual(run.blocker, { kind: "requirement", on: ["nowhere"] });
    await w.send("run.cancel", waiting);
  });

  test("gives drift by group with the changes of the last look", async () => {
    const none = await getEnvironmentDrift(w.services, "seen");
    assert.equal(none.run, null);
    const { runId: look } = await w.send("environment.refresh", "seen");
    await w.ended(look ?? "");
    const drift = await getEnvironmentDrift(w.services, "seen");
    assert.equal(drift.run?.id, look);
    assert.equal(drift.environment.drifted, true);
    assert.deepEqual(
      drift.groups.map((group) => [group.group, group.drift, group.changes.length]),
      [
        ["net", "none", 0],
        ["web", "drifted", 1],
      ],
    );
  });

  test("gives steps and their logs", async () => {
    const { items } = await listSteps(w.services, runId, page);
    assert.deepEqual(items.map((step) => step.group ?? "").toSorted(), ["net", "web"]);
    const id = items[0]?.id ?? "";
    assert.equal((await getStep(w.services, id)).runId, runId);
    assert.ok(Array.isArray(await readStepLog(w.services, id, { after: 0, limit: 10 })));
  });

  test("gives the journal in order", async () => {
    const { head, oldest } = await journalEdges(w.services);
    const events = await listEvents(w.services, 0, { limit: 1_000 });
    assert.equal(events.at(-1)?.position, head);
    assert.equal(events[0]?.position, oldest);
  });

  test("names unknown ids and says what to look at", async () => {
    const { services } = w;
    const unknown = [
      getEnvironment(services, "none"),
      getRun(services, "run_none"),
      getStep(services, "stp_none"),
      listSteps(services, "run_none", page),
      getPlan(services, "pln_none"),
      getResource(services, "res_none"),
      getTemplate(services, "none"),
      listTemplateVersions(services, "none"),
    ];
    for (const outcome of await Promise.allSettled(unknown)) {
      assert.equal(outcome.status, "rejected");
      assert.equal(outcome.reason.code, "not-found");
      assert.match(String(outcome.reason.message), /none.*(?:check|see|list)/u);
    }
  });
});
