import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { checkView } from "../../../src/contract/rest-environment.ts";
import { Site, until } from "../../support/site.ts";

const often = { interval: "200ms", timeout: "1s" };

describe("checks", () => {
  let site: Site;
  let server: Server;
  let port: number;
  let healthy = true;
  before(async () => {
    site = await Site.open();
    server = createServer((_, response) => {
      response.statusCode = healthy ? 204 : 500;
      response.end();
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    port = z.object({ port: z.number() }).parse(server.address()).port;
    const template = (name: string, within: string): object => ({
      name,
      more: {
        parameters: { port: { type: "integer" } },
        requires: {
          mail: {
            description: "A mail server that others run",
            check: { command: ["./probe", site.outside.directory, "mail"], ...often, within },
          },
        },
        checks: {
          page: {
            http: "http://127.0.0.1:${{ parameters.port }}/health",
            expect: 204,
            ...often,
            within,
          },
          door: { tcp: "127.0.0.1:${{ parameters.port }}", ...often, within },
          file: {
            command: ["./probe", site.outside.directory, "${{ environment.name }}"],
            ...often,
            within,
          },
        },
      },
      files: { probe: '#!/bin/sh\ntest -e "$1/$2.healthy"\n' },
      groups: { a: "${{ string(parameters.port) }}" },
    });
    await site.register({ groups: {}, ...template("web", "1m"), name: "web" });
    await site.register({ groups: {}, ...template("hasty", "1s"), name: "hasty" });
  });
  after(async () => {
    server.close();
    await site.close();
  });

  const checks = async (name: string): Promise<ReadonlyMap<string, string>> => {
    const list = z.object({ items: z.array(checkView) });
    const { items } = list.parse(await site.get(`/environments/${name}/checks`));
    return new Map(items.map((check) => [check.key, check.status]));
  };

  test("http, tcp and command checks hold the environment in validating until all pass", async () => {
    healthy = false;
    const command = await site.ask("POST", "/environments", {
      body: { name: "well", template: "web", parameters: { port } },
    });
    await site.environmentWhen("well", ({ status }) => status === "deployed-validating");
    assert.deepEqual(await site.outside.made("well"), ["a"]);
    await until(
      () => checks("well"),
      (seen) => seen.get("door") === "passing",
    );
    assert.notEqual((await checks("well")).get("page"), "passing");
    healthy = true;
    await until(
      () => checks("well"),
      (seen) => seen.get("page") === "passing",
    );
    assert.equal((await site.environment("well")).status, "deployed-validating");
    await site.outside.write("well.healthy");
    await until(
      () => checks("well"),
      (seen) => seen.get("file") === "passing" && seen.get("requires.mail") === "failing",
    );
    assert.equal((await site.environment("well")).status, "deployed-validating");
    await site.outside.write("mail.healthy");
    const run = await site.settled(command, 20_000);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.equal((await site.environment("well")).status, "deployed-ok");
    const types = (await site.events("well")).map((event) => event.type);
    const order = ["environment.deploying", "environment.validating", "environment.ok"];
    assert.deepEqual(
      types.filter((type) => order.some((name) => type.endsWith(name))),
      order,
    );
  });

  test("a check that does not pass within its time fails the environment with the reason; validate recovers it", async () => {
    const run = await site.create("ill", "hasty", { parameters: { port } });
    assert.equal(run.status, "failed");
    const environment = await site.environment("ill");
    assert.equal(environment.status, "deployed-failed");
    assert.match(environment.reason ?? "", /file/u);
    assert.deepEqual(await site.outside.made("ill"), ["a"]);
    assert.equal((await checks("ill")).get("file"), "failing");
    const ledger = await site.outside.ledger("ill");

    await site.outside.write("ill.healthy");
    const again = await site.settled(await site.command("environment.validate", "ill"));
    assert.equal(again.status, "succeeded", again.reason ?? "");
    const well = await site.environment("ill");
    assert.equal(well.status, "deployed-ok");
    assert.equal(well.reason, null);
    assert.equal(well.failure, null);
    assert.deepEqual(await site.outside.ledger("ill"), ledger);

    await site.outside.remove("ill.healthy");
    const worse = await site.settled(await site.command("environment.validate", "ill"));
    assert.equal(worse.status, "failed");
    assert.equal((await site.environment("ill")).status, "deployed-failed");
  });

  test("run.retry of a create whose checks failed looks again and makes nothing twice", async () => {
    const run = await site.create("retried", "hasty", { parameters: { port } });
    assert.equal(run.status, "failed");
    await site.outside.write("retried.healthy");
    const ledger = await site.outside.ledger("retried");
    const again = await site.settled(await site.ask("POST", `/runs/${run.id}/retry`));
    assert.equal(again.status, "succeeded", again.reason ?? "");
    assert.equal((await site.environment("retried")).status, "deployed-ok");
    assert.deepEqual(await site.outside.ledger("retried"), ledger);
  });

  test("validate does not call well what is not whole: a failed apply, a destroy that was cut off", async () => {
    await site.register({ name: "bare", groups: { a: "1", b: { value: "2", dependsOn: ["a"] } } });
    await site.create("hollow", "bare");
    // The same is wanted once more, and this time it fails.
    await site.outside.remove("hollow.b.made");
    await site.drift("hollow");
    await site.outside.fail("hollow.b.update", 1);
    await site.outside.fail("hollow.b.create", 1);
    assert.equal((await site.update("hollow", {})).status, "failed");
    const body = { type: "environment.validate", subject: "hollow" };
    assert.equal((await site.refused("POST", "/commands", { body })).status, 409);
    for (const verb of ["update", "create"]) await site.outside.fail(`hollow.b.${verb}`);
    assert.equal((await site.update("hollow", {})).status, "succeeded");
    assert.equal(
      (await site.settled(await site.command("environment.validate", "hollow"))).status,
      "succeeded",
    );

    await site.outside.hold("hollow", "a");
    const destroy = await site.ask("DELETE", "/environments/hollow");
    await site.begun("hollow", "begin-destroy hollow.a");
    await site.ask("POST", `/runs/${destroy.run}/cancel`);
    await site.settled(destroy);
    await site.outside.remove("hollow.a.hold");
    assert.equal((await site.refused("POST", "/commands", { body })).status, 409);
    assert.equal((await site.environment("hollow")).status, "deployed-failed");
    assert.equal((await site.update("hollow", {})).status, "succeeded");
    assert.deepEqual(await site.outside.made("hollow"), ["a", "b"]);
    assert.equal((await site.environment("hollow")).status, "deployed-ok");
  });
});
