import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Site } from "../../support/site.ts";

const shop = {
  name: "shop",
  more: {
    parameters: {
      size: { type: "integer", minimum: 1, maximum: 9, default: 2 },
      colour: { type: "string", default: "red" },
      place: { type: "string", default: "north", immutable: true },
    },
    outputs: { size: "${{ groups.house.outputs.value }}" },
    entrypoints: { door: { url: "http://127.0.0.1:1/${{ groups.house.outputs.value }}" } },
  },
  groups: {
    ground: { value: "${{ parameters.place }}" },
    house: { value: "${{ parameters.size }}", dependsOn: ["ground"] },
    paint: { value: "${{ parameters.colour }}", dependsOn: ["house"] },
    garden: { value: "${{ parameters.colour }}", dependsOn: ["ground"] },
  },
};

describe("the life of an environment", () => {
  let site: Site;
  before(async () => {
    site = await Site.open();
    await site.register(shop);
  });
  after(() => site.close());

  test("create makes every group once in order and shows what was asked for and made", async () => {
    const run = await site.create("life", "shop", {
      parameters: { size: 3 },
      tags: { team: "green" },
      description: "Ours",
      ttl: "48h",
    });
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const done = (await site.outside.ledger("life")).filter((line) => line.startsWith("create"));
    assert.equal(done.length, 4);
    assert.equal(done[0], "create life.ground north");
    const order = done.map((line) => line.split(" ")[1]);
    assert.ok(order.indexOf("life.house") < order.indexOf("life.paint"));

    const environment = await site.environment("life");
    assert.equal(environment.status, "deployed-ok");
    assert.deepEqual(environment.parameters, { size: 3, colour: "red", place: "north" });
    assert.deepEqual(environment.tags, { team: "green" });
    assert.equal(environment.description, "Ours");
    assert.deepEqual(environment.outputs, { size: "3" });
    assert.equal(environment.entrypoints["door"]?.url, "http://127.0.0.1:1/3");
    const planned = Date.parse(environment.plannedDestructionAt ?? "");
    assert.equal(planned - Date.parse(environment.createdAt), 48 * 3_600_000);
    assert.deepEqual(await site.environment(environment.id), environment);
  });

  test("an update of one parameter runs only what uses it", async () => {
    await site.create("one", "shop");
    const earlier = (await site.outside.ledger("one")).length;
    const run = await site.update("one", { parameters: { size: 5 } });
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual((await site.outside.ledger("one")).slice(earlier), [
      "begin-update one.house 5",
      "update one.house 5",
    ]);
    assert.deepEqual((await site.environment("one")).outputs, { size: "5" });
    const skipped = (await site.steps(run)).filter((step) => step.status === "skipped");
    assert.ok(skipped.every((step) => step.group !== "house"));
  });

  test("reset returns a parameter to its default, and an update that changes nothing starts nothing", async () => {
    await site.create("back", "shop", { parameters: { colour: "blue", size: 4 } });
    await site.update("back", { reset: ["colour"] });
    assert.deepEqual((await site.environment("back")).parameters, {
      size: 4,
      colour: "red",
      place: "north",
    });
    assert.equal(await site.outside.read("back.paint.made"), "red");
    const earlier = await site.outside.ledger("back");
    const run = await site.update("back", { parameters: { size: 4 } });
    assert.equal(run.status, "succeeded");
    assert.deepEqual(await site.outside.ledger("back"), earlier);
  });

  test("what does not fit the parameters' rules is refused with a pointer, and nothing is queued", async () => {
    await site.create("rules", "shop");
    const earlier = await site.environment("rules");
    const wrong = [
      [{ size: 10 }, "/parameters/size"],
      [{ size: "3" }, "/parameters/size"],
      [{ sise: 3 }, "/parameters/sise"],
      [{ place: "south" }, "/parameters/place"],
    ] as const;
    for (const [parameters, pointer] of wrong) {
      const problem = await site.refused("PATCH", "/environments/rules", { body: { parameters } });
      assert.equal(problem.status, 400, problem.detail);
      assert.equal(problem.code, "invalid-parameters");
      assert.equal(problem.errors?.[0]?.pointer, pointer, JSON.stringify(problem));
    }
    // A refusal is told as an event of the environment; nothing else has moved.
    const { sequence } = await site.environment("rules");
    assert.deepEqual(await site.environment("rules"), { ...earlier, sequence });
  });

  test("another version changes, adds and removes groups, and leaves the rest alone", async () => {
    await site.create("grown", "shop@1.0.0");
    await site.register({
      ...shop,
      version: "1.1.0",
      groups: {
        ground: shop.groups.ground,
        house: { value: "${{ parameters.size }} rooms", dependsOn: ["ground"] },
        garden: shop.groups.garden,
        roof: { value: "straw", dependsOn: ["house"] },
      },
    });
    const earlier = (await site.outside.ledger("grown")).length;
    const run = await site.update("grown", { template: "shop@1.1.0" });
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const acted = (await site.outside.ledger("grown"))
      .slice(earlier)
      .filter((line) => !line.startsWith("begin"));
    assert.deepEqual(acted, [
      "update grown.house 2 rooms",
      "create grown.roof straw",
      "destroy grown.paint ",
    ]);
    assert.deepEqual(await site.outside.made("grown"), ["garden", "ground", "house", "roof"]);
    const { templates } = await site.environment("grown");
    assert.equal(templates[0]?.version, "1.1.0");
  });

  test("destroy takes everything down in reverse order; nothing is left but the history", async () => {
    await site.create("gone", "shop@1.0.0", { parameters: { size: 7 } });
    // The folder it was registered from is not needed any more.
    await rm(join(site.directory, "templates"), { recursive: true });
    const run = await site.destroy("gone");
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const destroyed = (await site.outside.ledger("gone"))
      .filter((line) => line.startsWith("destroy"))
      .map((line) => line.split(" ")[1]);
    assert.equal(destroyed.length, 4);
    assert.equal(destroyed.at(-1), "gone.ground");
    assert.ok(destroyed.indexOf("gone.paint") < destroyed.indexOf("gone.house"));
    assert.deepEqual(await site.outside.made("gone"), []);
    const environment = await site.environment("gone");
    assert.equal(environment.status, "destroyed");
    assert.notEqual(environment.destroyedAt, null);
    assert.deepEqual(await site.get("/environments/gone/resources"), {
      items: [],
      observed: [],
      next: null,
    });
    const again = await site.refused("DELETE", "/environments/gone");
    assert.equal(again.status, 409, again.detail);
  });

  test("the name of a destroyed environment can be used again, and means the living one", async () => {
    await site.create("name", "shop@1.0.0");
    const first = await site.environment("name");
    const taken = await site.refused("POST", "/environments", {
      body: { name: "name", template: "shop" },
    });
    assert.equal(taken.code, "already-exists");
    await site.destroy("name");
    assert.equal((await site.environment("name")).id, first.id);
    await site.create("name", "shop@1.0.0");
    const second = await site.environment("name");
    assert.notEqual(second.id, first.id);
    assert.equal(second.status, "deployed-ok");
    assert.equal((await site.environment(first.id)).status, "destroyed");
    await site.destroy("name");
    assert.equal((await site.environment("name")).id, second.id);
    assert.equal((await site.refused("GET", "/environments/nobody")).status, 404);
  });
});
