import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { FastifyInstance, InjectOptions } from "fastify";
import { EmbeddedBus } from "../src/adapters/buses/embedded/index.ts";
import { apiServices } from "../src/app/api-services.ts";
import { createHttpServer } from "../src/api/http/server.ts";
import { problemView } from "../src/contract/problem.ts";
import { commandView } from "../src/contract/rest-command.ts";
import { eventView } from "../src/contract/rest-event.ts";
import { replyOf, routeOf, routes, type CommandView } from "../src/contract/rest.ts";
import { noMetrics } from "../src/ports/telemetry.ts";
import { accept } from "../src/services/command.ts";
import type { Services } from "../src/services/deps.ts";
import { pack } from "../src/adapters/sources/archive/index.ts";
import { createServiceWorld, plainYaml, shopYaml, type ServiceWorld } from "./support/services.ts";

const host = "127.0.0.1:8080";
const json = { "content-type": "application/json" };

/** Every reply is held against the schema of its operation in the contract. */
class Client {
  readonly #app: FastifyInstance;

  constructor(app: FastifyInstance) {
    this.#app = app;
  }

  async send(options: InjectOptions & { readonly url: string }) {
    const reply = await this.#app.inject({ ...options, headers: { host, ...options.headers } });
    const body: unknown = reply.payload === "" ? null : reply.json();
    const path = options.url.replace(/\?.*$/u, "");
    const method = options.method ?? "GET";
    const route = routes
      .filter((one) => one.method === method && matches(one.path, path))
      .toSorted((a, b) => a.path.split("{").length - b.path.split("{").length)[0];
    assert.ok(route, `${method} ${path} is in the table`);
    const schema = reply.statusCode >= 400 ? problemView : replyOf(route, reply.statusCode)?.schema;
    if (reply.statusCode !== 304) assert.deepEqual(schema?.parse(body), body);
    return { status: reply.statusCode, headers: reply.headers, body };
  }

  async command(options: InjectOptions & { readonly url: string }): Promise<CommandView> {
    const headers = { ...json, ...options.headers };
    const { status, body } = await this.send({ method: "POST", ...options, headers });
    assert.equal(status, 202, JSON.stringify(body));
    return commandView.parse(body);
  }

  /** Waits for the command's run to end. */
  async settled({ id }: CommandView): Promise<CommandView> {
    for (;;) {
      const { body } = await this.send({ url: `/api/v1/commands/${id}` });
      const command = commandView.parse(body);
      if (command.status !== "accepted") return command;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

function matches(form: string, path: string): boolean {
  const parts = form.split("/");
  const given = path.split("/");
  return (
    parts.length === given.length &&
    parts.every((part, n) => part.startsWith("{") || part === given[n])
  );
}

function serverOf(services: Services): FastifyInstance {
  return createHttpServer({
    services: apiServices({ ...services, bus: new EmbeddedBus(), authorities: [] }, (request) =>
      accept(services, request),
    ),
    store: services.store,
    clock: services.clock,
    log: services.log,
    metrics: noMetrics,
    allowedHosts: [],
    service: {
      version: "0.1.0",
      commit: null,
      roles: ["api"],
      store: "sqlite",
      bus: "embedded",
      executors: [],
      epoch: 1,
      startedAt: "2026-01-01T00:00:00.000Z",
      listen: host,
      schemas: {},
      readiness: async () => ({ status: "ready", detail: "" }),
      metricsText: async () => "",
      health: async () => ({ status: "ok", live: true, ready: true, dependencies: [] }),
    },
  });
}

async function archiveOf(yaml: string): Promise<Buffer> {
  const bytes = new TextEncoder().encode(yaml);
  return Buffer.from(await pack([{ path: "template.yaml", mode: 0o644, bytes }]));
}

suite("the REST API over the real services and store", () => {
  let world: ServiceWorld;
  let client: Client;
  before(async () => {
    world = await createServiceWorld({ start: true });
    client = new Client(serverOf(world.services));
    for (const yaml of [plainYaml(), shopYaml()]) {
      const headers = { "content-type": "application/gzip" };
      const payload = await archiveOf(yaml);
      const command = await client.command({ url: "/api/v1/templates", payload, headers });
      assert.equal(command.status, "completed");
    }
  });
  after(() => world.close());

  test("takes an environment from create to destroyed, and shows each side of it", async () => {
    const created = await client.command({
      url: "/api/v1/environments",
      payload: { name: "walk", template: "plain", tags: { team: "a" }, ttl: "48h" },
    });
    assert.equal((await client.settled(created)).status, "completed");
    const { body } = await client.send({ url: "/api/v1/environments/walk" });
    const environment = routeOf("getEnvironment").replies[200].schema.parse(body);
    assert.equal(environment.status, "deployed-ok");
    assert.equal(environment.id, created.environment);
    for (const part of [
      "",
      "/resources",
      "/graph",
      "/runs",
      "/drift",
      "/checks",
      "/plans",
      "/events",
    ]) {
      const { status } = await client.send({ url: `/api/v1/environments/walk${part}` });
      assert.equal(status, 200, part);
    }
    const steps = await client.send({ url: `/api/v1/runs/${created.run}/steps` });
    const [step] = routeOf("listRunSteps").replies[200].schema.parse(steps.body).items;
    assert.equal(step?.status, "succeeded");
    assert.equal((await client.send({ url: `/api/v1/runs/${created.run}` })).status, 200);
    assert.equal((await client.send({ url: "/api/v1/resources" })).status, 200);
    assert.equal((await client.send({ url: "/api/v1/info" })).status, 200);
    const destroyed = await client.command({ method: "DELETE", url: "/api/v1/environments/walk" });
    assert.equal((await client.settled(destroyed)).status, "completed");
    const { body: list } = await client.send({ url: "/api/v1/environments?destroyed" });
    const { items } = routeOf("listEnvironments").replies[200].schema.parse(list);
    assert.equal(items.find(({ name }) => name === "walk")?.status, "destroyed");
  });

  test("lists every event of an environment, gap-free, page by page", async () => {
    const sequences: number[] = [];
    let cursor: string | null = "0";
    while (cursor !== null) {
      const url: string = `/api/v1/environments/walk/events?limit=3&cursor=${cursor}`;
      const { body } = await client.send({ url });
      const page = routeOf("listEnvironmentEvents").replies[200].schema.parse(body);
      sequences.push(...page.items.map((event) => eventView.parse(event).sequence));
      cursor = page.next;
    }
    assert.ok(sequences.length > 6);
    assert.deepEqual(
      sequences,
      sequences.map((_, index) => index + 1),
    );
  });

  test("shows templates with their versions, parameters and schema", async () => {
    for (const url of [
      "/api/v1/templates",
      "/api/v1/templates/shop",
      "/api/v1/templates/shop/latest",
    ]) {
      assert.equal((await client.send({ url })).status, 200, url);
    }
  });

  test("makes a plan that can be read", async () => {
    const created = await client.command({
      url: "/api/v1/environments",
      payload: { name: "planned", template: "plain" },
    });
    await client.settled(created);
    const planned = await client.command({
      url: "/api/v1/commands",
      payload: { type: "environment.plan", subject: "planned" },
    });
    const { plan } = await client.settled(planned);
    const { body } = await client.send({ url: `/api/v1/plans/${plan}` });
    assert.equal(routeOf("getPlan").replies[200].schema.parse(body).status, "ready");
  });

  test("answers an equal command once, refuses another under its key, and never shows its secret", async () => {
    const headers = { "idempotency-key": "once" };
    const payload = { name: "sealed", template: "shop", parameters: { token: "hunter2-hunter2" } };
    const url = "/api/v1/environments";
    const first = await client.command({ url, payload, headers });
    const second = await client.command({ url, payload, headers });
    assert.equal(second.id, first.id);
    const other = { ...payload, parameters: { token: "other" } };
    const refused = await client.send({
      method: "POST",
      url,
      payload: other,
      headers: { ...json, ...headers },
    });
    assert.equal(problemView.parse(refused.body).code, "command-reused");
    await client.settled(first);
    for (const path of [
      "/environments/sealed",
      "/environments/sealed/events",
      `/commands/${first.id}`,
    ]) {
      const { body } = await client.send({ url: `/api/v1${path}` });
      assert.doesNotMatch(JSON.stringify(body), /hunter2|fingerprint|\$secret/u);
    }
  });

  test("refuses with the ETag of before what has changed since", async () => {
    const url = "/api/v1/environments/sealed";
    const { headers } = await client.send({ url });
    const tag = String(headers.etag);
    const update = { method: "PATCH", url, headers: { "if-match": tag } } as const;
    await client.command({ ...update, payload: { description: "one" } });
    const again = await client.send({
      ...update,
      payload: { description: "two" },
      headers: { ...json, "if-match": tag },
    });
    assert.equal(again.status, 412);
  });

  test("refuses a broken template with its places and registers nothing", async () => {
    const payload = await archiveOf(
      "apiVersion: glasshouse/v1\nkind: Template\nname: broken\nversion: nope\n",
    );
    const { status, body } = await client.send({
      method: "POST",
      url: "/api/v1/templates",
      payload,
      headers: { "content-type": "application/gzip" },
    });
    assert.equal(status, 400);
    const problem = problemView.parse(body);
    assert.equal(problem.code, "invalid-template");
    assert.match(problem.errors?.[0]?.place ?? "", /^template\.yaml:\d+:\d+$/u);
    assert.equal((await client.send({ url: "/api/v1/templates/broken" })).status, 404);
  });

  test("refuses what is no archive, an unknown template, and a cursor of nowhere", async () => {
    const junk = await client.send({
      method: "POST",
      url: "/api/v1/templates",
      payload: Buffer.from("junk"),
      headers: { "content-type": "application/gzip" },
    });
    assert.equal(junk.status, 400);
    const create = { method: "POST", url: "/api/v1/environments", headers: json } as const;
    const unknown = await client.send({ ...create, payload: { name: "x", template: "nosuch" } });
    assert.equal(unknown.status, 404);
    const cursor = await client.send({ url: "/api/v1/environments?cursor=bm93aGVyZQ" });
    assert.equal(cursor.status, 400);
  });
});
