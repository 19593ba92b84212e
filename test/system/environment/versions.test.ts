import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site } from "../../support/site.ts";
import { engines } from "../terraform/engines.ts";

const engine = engines.find(({ skip }) => skip === false) ?? engines[0];

describe("changing versions when things go wrong", () => {
  let site: Site;
  const version = (number: string, groups: Parameters<Site["register"]>[0]["groups"]) =>
    site.register({
      name: "moving",
      version: number,
      more: {
        parameters: {
          one: { type: "string", default: "1" },
          two: { type: "string", default: "2" },
        },
      },
      groups,
    });
  before(async () => {
    site = await Site.open({
      env: { GLASSHOUSE_EXECUTORS_TERRAFORM_PROGRAM: engine?.path ?? "terraform" },
    });
    await version("1.0.0", {
      base: "${{ parameters.one }}",
      old: { value: "${{ parameters.two }}", dependsOn: ["base"] },
    });
    await version("2.0.0", {
      base: "${{ parameters.one }} in 2",
      added: { value: "new", dependsOn: ["base"] },
      last: { value: "last", dependsOn: ["added"] },
    });
  });
  after(() => site.close());

  const acted = async (name: string, from = 0): Promise<readonly string[]> =>
    (await site.outside.ledger(name)).filter((line) => !line.startsWith("begin")).slice(from);

  test("an update that fails half-way removes nothing; going back takes down what it had added", async () => {
    await site.create("back", "moving@1.0.0");
    await site.outside.fail("back.last.create", 1);
    const run = await site.update("back", { template: "moving@2.0.0" });
    assert.equal(run.status, "failed");
    assert.deepEqual(await site.outside.made("back"), ["added", "base", "old"]);
    assert.equal((await site.environment("back")).status, "deployed-failed");
    const back = await site.update("back", { template: "moving@1.0.0" });
    assert.equal(back.status, "succeeded", back.reason ?? "");
    assert.deepEqual(await site.outside.made("back"), ["base", "old"]);
    assert.equal(await site.outside.read("back.base.made"), "1");
    assert.equal((await site.environment("back")).status, "deployed-ok");
  });

  test("destroy after an update that failed half-way takes down the groups of both versions", async () => {
    await site.create("union", "moving@1.0.0");
    await site.outside.fail("union.last.create", 1);
    await site.update("union", { template: "moving@2.0.0" });
    const run = await site.destroy("union");
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual(await site.outside.made("union"), []);
    const gone = (await acted("union")).filter((line) => line.startsWith("destroy"));
    assert.equal(gone.at(-1), "destroy union.base ");
  });

  test("updates of different parameters at once all hold", async () => {
    await site.create("merge", "moving@1.0.0");
    const release = await site.outside.hold("merge", "base");
    const first = await site.ask("PATCH", "/environments/merge", {
      body: { parameters: { one: "a" } },
    });
    await site.begun("merge", "begin-update merge.base a");
    const wishes = [{ one: "b" }, { two: "c" }];
    const commands = await Promise.all(
      wishes.map((parameters) =>
        site.ask("PATCH", "/environments/merge", { body: { parameters } }),
      ),
    );
    await release();
    await site.settled(first);
    for (const command of commands) assert.equal((await site.settled(command)).status, "succeeded");
    assert.deepEqual((await site.environment("merge")).parameters, { one: "b", two: "c" });
    assert.equal(await site.outside.read("merge.base.made"), "b");
    assert.equal(await site.outside.read("merge.old.made"), "c");
  });

  test("versions that disagree about the order are destroyed all the same", async () => {
    await site.register({
      name: "turned",
      groups: { x: "1", y: { value: "1", dependsOn: ["x"] }, z: { value: "1", dependsOn: ["y"] } },
    });
    await site.register({
      name: "turned",
      version: "2.0.0",
      groups: { y: "2", x: { value: "2", dependsOn: ["y"] }, z: { value: "1", dependsOn: ["y"] } },
    });
    await site.create("turned", "turned@1.0.0");
    await site.outside.fail("turned.x.update", 1);
    assert.equal((await site.update("turned", { template: "turned@2.0.0" })).status, "failed");
    const run = await site.destroy("turned");
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual(await site.outside.made("turned"), []);
  });

  test(
    "a group whose executor changes is destroyed by its old one and made by the new one",
    { skip: engine === undefined ? "no engine" : engine.skip },
    async () => {
      const files = { "tf/main.tf": 'output "value" { value = "by terraform" }\n' };
      await site.register({ name: "other", groups: { a: "1", b: `on ${made("a")}` }, files });
      await site.register({
        name: "other",
        version: "2.0.0",
        groups: {
          a: { more: { executor: "terraform", with: { source: "./tf" } } },
          b: `on ${made("a")}`,
        },
        files,
      });
      await site.create("other", "other@1.0.0");
      const run = await site.update("other", { template: "other@2.0.0" });
      assert.equal(run.status, "succeeded", run.reason ?? "");
      assert.deepEqual(await acted("other", 2), [
        "destroy other.a ",
        "update other.b on by terraform",
      ]);
      assert.equal((await site.destroy("other")).status, "succeeded");
      assert.deepEqual(await site.outside.made("other"), []);
    },
  );

  test("every event of an environment has its number, without a gap and in order", async () => {
    for (const name of ["back", "union", "merge"]) {
      const events = await site.events(name);
      assert.deepEqual(
        events.map((event) => event.sequence),
        events.map((_, at) => at + 1),
      );
      const positions = events.map((event) => event.position);
      assert.deepEqual(
        positions,
        positions.toSorted((a, b) => a - b),
      );
    }
  });
});

function made(group: string): string {
  return `\${{ groups.${group}.outputs.value }}`;
}
