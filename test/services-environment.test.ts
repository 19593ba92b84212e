import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import type { GlasshouseError } from "../src/domain/errors.ts";
import { isSecretRef } from "../src/domain/value.ts";
import type { Store } from "../src/ports/store.ts";
import { accept } from "../src/services/command.ts";
import { getEnvironment } from "../src/services/environment.ts";
import { getRun } from "../src/services/run.ts";
import { Starts } from "../src/services/starts.ts";
import {
  chainYaml,
  createServiceWorld,
  plainYaml,
  shopYaml,
  type ServiceWorld,
} from "./support/services.ts";

const onBase = (base: string): object => ({ template: "chain", parameters: { base } });
const aging = (ttl?: string): object => ({
  template: "shop@5.0.0",
  parameters: { token: "abcd" },
  ...(ttl === undefined ? {} : { ttl }),
});

describe("creating an environment", () => {
  let w: ServiceWorld;
  before(async () => {
    w = await createServiceWorld();
    for (const version of ["1.0.0", "1.10.0", "1.9.0", "2.0.0-beta.1"])
      await w.register(plainYaml(version));
    await w.register(shopYaml());
    await w.register(chainYaml());
  });
  after(() => w.close());

  test("takes the highest active release for a bare name", async () => {
    await w.send("environment.create", "bare", { template: "plain" });
    assert.equal((await w.named("bare")).desired.templates[0]?.version, "1.10.0");
    await w.send("template.deprecate", "plain@1.10.0");
    await w.send("environment.create", "bare-again", { template: "plain" });
    assert.equal((await w.named("bare-again")).desired.templates[0]?.version, "1.9.0");
  });

  test("takes what a reference means now, although it has meant another version before", async () => {
    await w.register(plainYaml("1.9.5"));
    await w.send("environment.create", "newer", { template: "plain" });
    assert.equal((await w.named("newer")).desired.templates[0]?.version, "1.9.5");
    const exact = { template: "plain@1.9.5" };
    await w.send("environment.create", "exact", exact);
    await w.send("template.deprecate", "plain@1.9.5");
    assert.equal((await w.refused("environment.create", "too-late", exact)).code, "conflict");
    await w.send("template.activate", "plain@1.9.5");
    await w.send("environment.create", "again", exact);
    await w.send("template.deprecate", "plain@1.9.5");
  });

  test("refuses deprecated versions and drafts by name, and says how to activate them", async () => {
    const deprecated = await w.refused("environment.create", "x", { template: "plain@1.10.0" });
    assert.equal(deprecated.code, "conflict");
    assert.match(deprecated.message, /template activate plain@1\.10\.0/u);
    await w.register(plainYaml("3.0.0"), { draft: true });
    const draft = await w.refused("environment.create", "x", { template: "plain@3.0.0" });
    assert.equal(draft.code, "conflict");
    assert.match(draft.message, /draft/u);
  });

  test("names the near version when that which is asked for does not exist", async () => {
    const { code, message } = await w.refused("environment.create", "x", { template: "plain@1.9" });
    assert.equal(code, "not-found");
    assert.match(message, /1\.9\.0/u);
  });

  test("names every parameter that does not fit, and never a secret's value", async () => {
    const parameters = { size: 12, region: "east", token: "abc", colour: "red" };
    const { code, error } = await w.refused("environment.create", "x", {
      template: "shop",
      parameters,
    });
    assert.equal(code, "invalid-parameters");
    assert.deepEqual(pointersOf(error), [
      "/parameters/colour",
      "/parameters/region",
      "/parameters/size",
      "/parameters/token",
    ]);
    assert.ok(!JSON.stringify(error.details).includes("abc"));
  });

  test("refuses a reference to a secret from outside", async () => {
    const parameters = { token: { $secret: "sec_somebody", fingerprint: "f" } };
    const { code } = await w.refused("environment.create", "x", { template: "shop", parameters });
    assert.equal(code, "invalid-parameters");
  });

  test("refuses a name that is taken, until that environment is destroyed", async () => {
    await w.send("environment.create", "taken", { template: "plain" });
    const { code } = await w.refused("environment.create", "taken", { template: "plain" });
    assert.equal(code, "already-exists");
  });

  test("lets one of two creates of one name at once win", async () => {
    const both = await Promise.allSettled([
      w.send("environment.create", "contested", { template: "plain" }),
      w.send("environment.create", "contested", { template: "plain" }),
    ]);
    assert.deepEqual(both.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
  });

  test("refuses names that are no names, and two different ones", async () => {
    assert.equal(
      (await w.refused("environment.create", "Shop_1", { template: "plain" })).code,
      "invalid-request",
    );
    assert.equal(
      (await w.refused("environment.create", null, { template: "plain" })).code,
      "invalid-request",
    );
    const two = await w.refused("environment.create", "a", { name: "b", template: "plain" });
    assert.equal(two.code, "invalid-request");
  });

  test("refuses several templates as not available, and takes one in a list", async () => {
    const many = await w.refused("environment.create", "x", { templates: ["plain", "shop"] });
    assert.equal(many.code, "not-available");
    await w.send("environment.create", "of-list", { templates: ["plain@1.0.0"] });
    assert.equal((await w.named("of-list")).desired.templates[0]?.version, "1.0.0");
  });

  test("shows parameters in effect with defaults, and keeps only what was given", async () => {
    const parameters = { token: "very secret" };
    await w.send("environment.create", "shown", { template: "shop", parameters });
    const { environment, parameters: shown } = await getEnvironment(w.services, "shown");
    assert.deepEqual(Object.keys(environment.desired.templates[0]?.parameters ?? {}), ["token"]);
    assert.equal(shown["size"], 3);
    assert.ok(isSecretRef(shown["token"]));
  });

  test("refuses a circle of requirements, also through one that does not exist yet", async () => {
    const self = await w.refused("environment.create", "ring", onBase("ring"));
    assert.equal(self.code, "requirement-cycle");
    await w.send("environment.create", "ring-a", onBase("ring-b"));
    await w.send("environment.create", "ring-b", onBase("ring-c"));
    const closing = await w.refused("environment.create", "ring-c", onBase("ring-a"));
    assert.equal(closing.code, "requirement-cycle");
    assert.match(closing.message, /ring-c → ring-a → ring-b → ring-c/u);
    await w.send("environment.create", "ring-c", onBase("nothing-yet"));
    const update = await w.refused("environment.update", "ring-c", {
      parameters: { base: "ring-a" },
    });
    assert.equal(update.code, "requirement-cycle");
  });

  test("knows what it requires when that is there", async () => {
    await w.send("environment.create", "ground", { template: "plain" });
    await w.send("environment.create", "on-ground", {
      template: "chain",
      parameters: { base: "ground" },
    });
    assert.deepEqual((await w.named("on-ground")).requires, [(await w.named("ground")).id]);
  });

  test("plans its destruction by ttl within the template's maximum", async () => {
    await w.register(shopYaml("5.0.0", "lifetime: { default: 2h, maximum: 3d }\n"));
    await w.send("environment.create", "aged", aging());
    const aged = await w.named("aged");
    assert.equal(
      Date.parse(aged.plannedDestructionAt ?? "") - Date.parse(aged.createdAt),
      7_200_000,
    );
    await w.send("environment.create", "old", aging("3d"));
    const { code } = await w.refused("environment.create", "older", aging("4d"));
    assert.equal(code, "invalid-parameters");
    const forever = await w.refused("environment.update", "aged", { ttl: null });
    assert.equal(forever.code, "invalid-parameters");
  });
});

describe("updating an environment", () => {
  let w: ServiceWorld;
  before(async () => {
    w = await createServiceWorld();
    await w.register(shopYaml());
    await w.register(shopYaml("1.1.0"));
    await w.register(plainYaml());
  });
  after(() => w.close());

  const create = async (name: string): Promise<void> => {
    const parameters = { token: "abcd", size: 2 };
    await w.send("environment.create", name, { template: "shop@1.0.0", parameters });
  };
  const sizeOf = async (name: string): Promise<unknown> =>
    (await w.named(name)).desired.templates[0]?.parameters["size"];

  test("joins the run that waits, and a command ends with the run that covers it", async () => {
    await create("joined");
    const first = await w.send("environment.update", "joined", { parameters: { size: 4 } });
    const second = await w.send("environment.update", "joined", { parameters: { size: 5 } });
    const [run, ...more] = await w.queueOf("joined");
    assert.deepEqual(more, []);
    assert.deepEqual([first.runId, second.runId], [run?.id, run?.id]);
    assert.equal(run?.generation, 3);
    assert.equal(await sizeOf("joined"), 5);
  });

  test("does not count a wish that is wanted already as a change", async () => {
    await create("same");
    await w.send("environment.update", "same", { parameters: { size: 2, token: "abcd" } });
    assert.equal((await w.named("same")).generation, 1);
    await w.send("environment.update", "same", { parameters: { token: "efgh" } });
    assert.equal((await w.named("same")).generation, 2);
  });

  test("returns a parameter to its default", async () => {
    await create("reset");
    await w.send("environment.update", "reset", { reset: ["size"] });
    assert.equal(await sizeOf("reset"), undefined);
  });

  test("keeps what cannot be changed", async () => {
    await create("fixed");
    const { code, error } = await w.refused("environment.update", "fixed", {
      parameters: { region: "north" },
    });
    assert.equal(code, "invalid-parameters");
    assert.equal(error.details[0]?.pointer, "/parameters/region");
  });

  test("changes the version, and only to one of the same template", async () => {
    await create("version");
    await w.send("environment.update", "version", { template: "shop" });
    assert.equal((await w.named("version")).desired.templates[0]?.version, "1.1.0");
    const { code } = await w.refused("environment.update", "version", { template: "plain" });
    assert.equal(code, "conflict");
  });

  test("changes description, tags and lifetime at once, without a run", async () => {
    await create("details");
    const command = await w.send("environment.update", "details", {
      description: "Mine",
      tags: { team: "a" },
      ttl: "2h",
    });
    assert.deepEqual([command.status, command.runId], ["completed", null]);
    const environment = await w.named("details");
    assert.equal(environment.description, "Mine");
    assert.notEqual(environment.plannedDestructionAt, null);
    await w.send("environment.update", "details", { ttl: null });
    assert.equal((await w.named("details")).plannedDestructionAt, null);
  });

  test("loses no wish of many at once", async () => {
    await create("many");
    const wishes = [
      { template: "shop@1.1.0" },
      { parameters: { size: 7 } },
      { parameters: { token: "other" } },
      { description: "of many" },
    ];
    await Promise.all(wishes.map((wish) => w.send("environment.update", "many", wish)));
    const environment = await w.named("many");
    const [desired] = environment.desired.templates;
    assert.deepEqual([desired?.version, desired?.parameters["size"]], ["1.1.0", 7]);
    assert.equal(environment.description, "of many");
    assert.equal((await w.queueOf("many")).length, 1);
  });

  test("prepares a wish again when another version came to be wanted meanwhile", async () => {
    await create("overtaken");
    const { store } = w.services;
    let overtaken = 0;
    const slow: Store = {
      read: (fn) => store.read(fn),
      search: (fn) => store.search(fn),
      transact: async (fn) => {
        overtaken += 1;
        if (overtaken === 1) await w.send("environment.update", "overtaken", { template: "shop" });
        return store.transact(fn);
      },
      watch: (topic, fn) => store.watch(topic, fn),
      lease: (worker) => store.lease(worker),
      health: () => store.health(),
      close: () => store.close(),
    };
    await accept(
      { ...w.services, store: slow, starts: new Starts(slow) },
      {
        source: "test",
        id: "overtaken",
        type: "environment.update",
        subject: "overtaken",
        data: { parameters: { size: 8 } },
        actor: "tester",
      },
    );
    const [desired] = (await w.named("overtaken")).desired.templates;
    assert.deepEqual([desired?.version, desired?.parameters["size"]], ["1.1.0", 8]);
    assert.equal(overtaken, 2);
  });

  test("keeps the last wish for each parameter, whatever the order of wishes and resets", async () => {
    await create("law");
    const wish = fc.oneof(
      fc.record({ parameters: fc.record({ size: fc.integer({ min: 1, max: 9 }) }) }),
      fc.constant({ reset: ["size"] }),
      fc.constant({ parameters: { token: "same-token" } }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(wish, { minLength: 1, maxLength: 6 }), async (wishes) => {
        await w.send("environment.update", "law", { parameters: { size: 2 } });
        const earlier = (await w.named("law")).generation;
        let expected: number | undefined = 2;
        let changes = 0;
        for (const one of wishes) {
          await w.send("environment.update", "law", one);
          const last: number | undefined = expected;
          if ("reset" in one) expected = undefined;
          else if ("size" in one.parameters) expected = one.parameters.size;
          if (last !== expected) changes += 1;
        }
        assert.equal(await sizeOf("law"), expected);
        // The token changes once at most, with its first wish.
        const raised = (await w.named("law")).generation - earlier;
        assert.ok(raised === changes || raised === changes + 1);
      }),
      { numRuns: 15 },
    );
  });

  test("is refused past the bound of a queue", async () => {
    const small = await createServiceWorld({
      limits: { queuedRuns: 3, queuedRunsOfEnvironment: 2 },
    });
    await small.register(plainYaml());
    await small.send("environment.create", "a", { template: "plain" });
    await small.send("environment.refresh", "a");
    assert.equal((await small.refused("environment.refresh", "a")).code, "too-many");
    await small.send("environment.create", "b", { template: "plain" });
    assert.equal(
      (await small.refused("environment.create", "c", { template: "plain" })).code,
      "too-many",
    );
    await small.close();
  });

  test("shows the place in the queue and what goes first", async () => {
    await create("queued");
    const action = await w.send("environment.action", "queued", { action: "restart" });
    const read = await getRun(w.services, action.runId ?? "");
    assert.equal(read.position, 1);
    assert.equal(read.run.blocker?.kind, "queue");
    const wrong = await w.refused("environment.action", "queued", { action: "restrat" });
    assert.equal(wrong.code, "not-found");
    assert.match(wrong.message, /restart\?/u);
  });
});

function pointersOf(error: GlasshouseError): readonly string[] {
  return error.details.map((detail) => detail.pointer ?? "").toSorted();
}
