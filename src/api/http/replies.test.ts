import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { replyOf, routeOf, routes, type RouteId } from "../../contract/rest.ts";
import { testServer } from "./server.fixture.ts";

const host = "127.0.0.1:8080";

/** A URL for every read of the table. */
const reads: Partial<Record<RouteId, string>> = {
  listEnvironments: "/api/v1/environments?status=deployed-ok&destroyed&limit=5",
  getEnvironment: "/api/v1/environments/env_1",
  listEnvironmentResources: "/api/v1/environments/shop/resources",
  getEnvironmentGraph: "/api/v1/environments/shop/graph",
  listEnvironmentRuns: "/api/v1/environments/shop/runs",
  getEnvironmentDrift: "/api/v1/environments/shop/drift",
  listEnvironmentChecks: "/api/v1/environments/shop/checks",
  listEnvironmentPlans: "/api/v1/environments/shop/plans",
  listTemplates: "/api/v1/templates",
  listTemplateVersions: "/api/v1/templates/web",
  getTemplate: "/api/v1/templates/web/1.0.0",
  getRun: "/api/v1/runs/run_1",
  listRunSteps: "/api/v1/runs/run_1/steps",
  getStep: "/api/v1/steps/stp_1",
  getStepLog: "/api/v1/steps/stp_1/log",
  getPlan: "/api/v1/plans/pln_1",
  listWorkers: "/api/v1/workers",
  listAuthorities: "/api/v1/authorities",
  listResources: "/api/v1/resources",
  getResource: "/api/v1/resources/res_1",
  search: "/api/v1/search?q=shop",
  listEvents: "/api/v1/events",
  listEnvironmentEvents: "/api/v1/environments/shop/events",
  getLiveness: "/livez",
  getReadiness: "/readyz",
  getHealthAtRoot: "/health",
  getHealth: "/api/v1/health",
  getMetrics: "/metrics",
  getVersion: "/api/v1/version",
  getInfo: "/api/v1/info",
  getSchema: "/api/v1/schemas/template.json",
  getOpenApi: "/api/v1/openapi.json",
  getAsyncApi: "/api/v1/asyncapi.json",
  getDocs: "/api/v1/docs",
  getDocsErrors: "/api/v1/docs/errors",
  getBus: "/api/v1/bus",
  getDocsScript: "/api/v1/docs/start.js",
  getDocsLibrary: "/api/v1/docs/reference.js",
};

suite("replies", () => {
  test("every read of the table is tried here", () => {
    const served = routes.filter((route) => route.method === "GET" && !("notAvailable" in route));
    const ids = served.map(({ id }) => id).filter((id) => id !== "getCommand");
    assert.deepEqual(Object.keys(reads).toSorted(), ids.toSorted());
  });

  for (const [id, url] of Object.entries(reads)) {
    test(`${id} answers what its schema says`, async () => {
      const { app, services } = testServer();
      services.append(3);
      services.say("a line");
      const reply = await app.inject({ url, headers: { host } });
      assert.equal(reply.statusCode, 200);
      const route = routes.find((one) => one.id === id);
      assert.ok(route);
      const { schema, types = ["application/json"] } = replyOf(route, 200) ?? {};
      assert.ok(schema);
      assert.ok(String(reply.headers["content-type"]).startsWith(types[0] ?? ""));
      const body: unknown = types[0] === "application/json" ? reply.json() : reply.payload;
      const parsed = schema.parse(body);
      // A member that the schema does not know would be cut off here.
      assert.deepEqual(parsed, body);
      assert.doesNotMatch(reply.payload, /\$secret|"fingerprint"/u);
    });
  }

  test("secrets show as a mask", async () => {
    const { app } = testServer();
    const reply = await app.inject({ url: "/api/v1/environments/shop", headers: { host } });
    const { parameters, outputs } = routeOf("getEnvironment").replies[200].schema.parse(
      reply.json(),
    );
    assert.deepEqual(parameters, { nodes: 3, token: "(secret)" });
    assert.deepEqual(outputs, { password: "(secret)", address: "127.0.0.1" });
  });

  test("a template shows its parameters' schema and its graph", async () => {
    const { app } = testServer();
    const reply = await app.inject({ url: "/api/v1/templates/web/1.0.0", headers: { host } });
    const template = routeOf("getTemplate").replies[200].schema.parse(reply.json());
    assert.deepEqual(
      template.graph.nodes.map(({ id, kind }) => [id, kind]),
      [
        ["requires.base", "environment"],
        ["network", "group"],
        ["network.vnet", "resource"],
      ],
    );
    assert.equal(template.lifetime.default, "2d");
    assert.equal(template.files[0]?.mode, "644");
  });

  test("a plan counts its groups", async () => {
    const { app } = testServer();
    const reply = await app.inject({ url: "/api/v1/plans/pln_1", headers: { host } });
    const plan = routeOf("getPlan").replies[200].schema.parse(reply.json());
    assert.deepEqual(plan.summary, { exact: 1, deferred: 0, unchanged: 0, destroy: 0 });
  });
});
