import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site, type CommandView } from "../../support/site.ts";

const base = {
  name: "base",
  more: {
    parameters: { net: { type: "string", default: "n1" }, note: { type: "string", default: "" } },
    outputs: { network: "${{ groups.net.outputs.value }}" },
  },
  groups: { net: "${{ parameters.net }}", note: "${{ parameters.note }}x" },
};
const needing = (name: string, version = "1.0.0") => ({
  name,
  version,
  more: {
    parameters: { on: { type: "string" } },
    requires: { base: { environment: "${{ parameters.on }}", outputs: ["network"] } },
    outputs: { network: "${{ groups.web.outputs.value }}" },
  },
  groups: { web: "in ${{ requires.base.outputs.network }}" },
});

describe("requirements between environments", () => {
  let site: Site;
  before(async () => {
    site = await Site.open();
    await site.register(base);
    await site.register(needing("app"));
  });
  after(() => site.close());

  const creating = (name: string, template: string, on?: string): Promise<CommandView> =>
    site.ask("POST", "/environments", {
      body: { name, template, ...(on === undefined ? {} : { parameters: { on } }) },
    });

  test("required outputs are passed, and both sides show the edge", async () => {
    await site.settled(await creating("b1", "base"));
    const run = await site.settled(await creating("a1", "app", "b1"));
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.equal(await site.outside.read("a1.web.made"), "in n1");
    const required = await site.environment("b1");
    assert.deepEqual((await site.environment("a1")).requires, [required.id]);
  });

  test("a run waits for what it requires, names it, holds nothing, and goes on soon after", async () => {
    const command = await creating("a2", "app", "b2");
    const waiting = await site.runWhen(command, ({ blocker }) => blocker !== null);
    assert.equal(waiting.status, "queued");
    assert.deepEqual(waiting.blocker, { kind: "requirement", on: ["b2"] });
    assert.match(waiting.reason ?? "", /requires environment b2, which does not exist/u);
    const release = await site.outside.hold("b2", "net");
    const made = await creating("b2", "base");
    await site.begun("b2", "begin-create b2.net");
    await site.runWhen(command, ({ reason }) => reason?.includes("deploying") === true, 15_000);
    await release();
    await site.settled(made);
    // Far below the slow look at what waits.
    const run = await site.settled(command, 4_000);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.equal(await site.outside.read("a2.web.made"), "in n1");
  });

  test("a required output that does not exist is named", async () => {
    await site.settled(await creating("b3", "base"));
    await site.register({
      name: "odd",
      more: { requires: { base: { environment: "b3", outputs: ["nowhere"] } } },
      groups: { web: "${{ requires.base.outputs.nowhere }}" },
    });
    const command = await creating("a3", "odd");
    const waiting = await site.runWhen(command, ({ blocker }) => blocker !== null);
    assert.match(waiting.reason ?? "", /no output nowhere/u);
    await site.ask("POST", `/runs/${command.run}/cancel`);
    await site.destroy("a3");
  });

  test("while it is used, a change of the base waits and names the user", async () => {
    await site.settled(await creating("b4", "base"));
    const release = await site.outside.hold("a4", "web");
    const user = await creating("a4", "app", "b4");
    await site.begun("a4", "begin-create a4.web");
    const change = await site.ask("PATCH", "/environments/b4", {
      body: { parameters: { net: "n2" } },
    });
    const waiting = await site.runWhen(change, ({ blocker }) => blocker !== null);
    assert.deepEqual(waiting.blocker, { kind: "use", on: ["a4"] });
    assert.equal(await site.outside.read("b4.net.made"), "n1");
    await release();
    assert.equal((await site.settled(user)).status, "succeeded");
    assert.equal((await site.settled(change, 4_000)).status, "succeeded");
    assert.equal(await site.outside.read("b4.net.made"), "n2");
  });

  test("changed outputs make dependents outdated; nothing runs by itself; an update mends it", async () => {
    await site.settled(await creating("b5", "base"));
    await site.settled(await creating("a5", "app", "b5"));
    await site.update("b5", { parameters: { note: "no output" } });
    assert.equal((await site.environment("a5")).outdated, false);
    const ledger = await site.outside.ledger("a5");
    await site.update("b5", { parameters: { net: "n9" } });
    assert.equal((await site.environment("a5")).outdated, true);
    assert.deepEqual(await site.outside.ledger("a5"), ledger);
    assert.equal((await site.update("a5", {})).status, "succeeded");
    assert.equal((await site.environment("a5")).outdated, false);
    assert.equal(await site.outside.read("a5.web.made"), "in n9");
  });

  test("destroy of what is required is refused with the list; cascade takes dependents first", async () => {
    await site.settled(await creating("b6", "base"));
    await site.settled(await creating("a6", "app", "b6"));
    await site.settled(await creating("c6", "app", "a6"));
    const refused = await site.refused("DELETE", "/environments/b6");
    assert.equal(refused.status, 409);
    assert.equal(refused.code, "in-use");
    assert.match(JSON.stringify(refused.errors), /a6/u);
    assert.equal((await site.environment("b6")).status, "deployed-ok");
    const command = await site.ask("DELETE", "/environments/b6?cascade");
    const update = await site.refused("PATCH", "/environments/a6", { body: {} });
    assert.equal(update.status, 409);
    assert.equal((await site.settled(command, 8_000)).status, "succeeded");
    for (const name of ["a6", "b6", "c6"])
      assert.equal((await site.environment(name)).status, "destroyed");
    const ledger = (await site.outside.read("ledger"))?.split("\n") ?? [];
    const order = ledger.filter((line) => /^destroy [abc]6\./u.test(line));
    assert.deepEqual(
      order.map((line) => line.slice("destroy ".length, "destroy ".length + 2)),
      ["c6", "a6", "b6", "b6"],
    );
  });

  test("a circle of environments is refused when it would be closed", async () => {
    const first = await creating("x1", "app", "x2");
    const problem = await site.refused("POST", "/environments", {
      body: { name: "x2", template: "app", parameters: { on: "x1" } },
    });
    assert.equal(problem.code, "requirement-cycle");
    assert.match(problem.detail, /x1.*x2|x2.*x1/u);
    assert.equal((await site.send("GET", "/environments/x2")).status, 404);
    const own = await site.refused("POST", "/environments", {
      body: { name: "x3", template: "app", parameters: { on: "x3" } },
    });
    assert.equal(own.code, "requirement-cycle");
    await site.ask("POST", `/runs/${first.run}/cancel`);

    await site.settled(await creating("y0", "base"));
    await site.settled(await creating("y1", "app", "y0"));
    await site.settled(await creating("y2", "app", "y1"));
    const closing = await site.refused("PATCH", "/environments/y1", {
      body: { parameters: { on: "y2" } },
    });
    assert.equal(closing.code, "requirement-cycle");
    assert.deepEqual((await site.environment("y1")).parameters, { on: "y0" });
  });

  test("what moved to another base lets go of the old one", async () => {
    await site.settled(await creating("b7", "base"));
    await site.settled(await creating("b8", "base"));
    await site.settled(await creating("a7", "app", "b7"));
    assert.equal((await site.update("a7", { parameters: { on: "b8" } })).status, "succeeded");
    assert.equal((await site.destroy("b7")).status, "succeeded");
    assert.equal((await site.refused("DELETE", "/environments/b8")).code, "in-use");
  });

  test("hundreds that wait do not keep the others from starting", async () => {
    for (let from = 0; from < 510; from += 51) {
      const names = Array.from({ length: 51 }, (_, at) => `w${from + at}`);
      await Promise.all(names.map((name) => creating(name, "app", "nobody")));
    }
    const run = await site.settled(await creating("free", "base"), 30_000);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    await site.runWhen(
      await creating("w-last", "app", "nobody"),
      ({ blocker }) => blocker !== null,
    );
  });
});
