import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { infoView } from "../../../src/contract/rest-service.ts";
import { workerView } from "../../../src/contract/rest-worker.ts";
import { TestServer, testDirectory } from "../../support/server.ts";
import { Site } from "../../support/site.ts";

const gpu = { args: ["--engine-labels", "gpu,eu"] };
const reason = "waits for a worker that offers gpu; workers now offer no labels";

describe("groups that ask for labels", () => {
  let site: Site;
  before(async () => {
    site = await Site.open();
    await site.register({
      name: "model",
      groups: {
        data: "1",
        train: { value: "2", dependsOn: ["data"], more: { runsOn: ["gpu"] } },
      },
    });
  });
  after(() => site.close());

  const restart = async (options?: { readonly args: readonly string[] }): Promise<void> => {
    await site.server.stop();
    await site.start(options);
  };

  test("are refused while the worker offers nothing, with the way out", async () => {
    const body = { name: "early", template: "model" };
    const problem = await site.refused("POST", "/environments", { body });
    assert.deepEqual([problem.status, problem.code], [409, "no-worker"]);
    assert.match(problem.detail, /group train.*workers that offer gpu.*now offer no labels/u);
    assert.match(problem.detail, /glasshouse server --engine-labels gpu/u);
    assert.equal((await site.send("GET", "/environments/early")).status, 404);
  });

  test("run where all labels are offered, and the list of workers says so", async () => {
    await restart(gpu);
    const { items } = z.object({ items: z.array(workerView) }).parse(await site.get("/workers"));
    assert.deepEqual(
      items.map(({ labels, status, lapsed, running }) => ({ labels, status, lapsed, running })),
      [{ labels: ["eu", "gpu"], status: "working", lapsed: false, running: 0 }],
    );
    const run = await site.create("made", "model");
    assert.equal(run.status, "succeeded");
    const train = await site.step(run, "apply:model/train");
    assert.deepEqual([train.status, train.runsOn], ["succeeded", ["gpu"]]);
  });

  test("say what they wait for when the worker has gone, and go on when one comes", async () => {
    const release = await site.outside.hold("left", "data");
    const create = await site.ask("POST", "/environments", {
      body: { name: "left", template: "model" },
    });
    await site.begun("left", "begin-create left.data");
    await restart();
    await release();
    const waiting = await site.runWhen(create, ({ blocker }) => blocker?.kind === "worker");
    assert.deepEqual([waiting.status, waiting.reason], ["running", reason]);
    assert.deepEqual(waiting.blocker, { kind: "worker", on: ["gpu"] });
    assert.equal((await site.step(waiting, "apply:model/train")).reason, reason);
    assert.equal((await site.environment("left")).reason, reason);
    assert.deepEqual(await site.outside.made("left"), ["data"]);
    await restart(gpu);
    const run = await site.settled(create);
    assert.equal(run.status, "succeeded");
    assert.equal((await site.environment("left")).reason, null);
    const made = (await site.outside.ledger("left")).filter((line) => line.startsWith("create"));
    assert.deepEqual(made, ["create left.data 1", "create left.train 2"]);
  });

  test("are taken down by their records, where the template that is wanted says otherwise", async () => {
    await restart();
    const refused = await site.refused("DELETE", "/environments/made");
    assert.equal(refused.code, "no-worker");
    await restart(gpu);
    assert.equal((await site.destroy("made")).status, "succeeded");
    assert.deepEqual(await site.outside.made("made"), []);
  });
});

describe("a server with the role worker alone", () => {
  test("answers probes and sends other requests elsewhere", async () => {
    const { path, remove } = await testDirectory();
    const server = await TestServer.start({ data: path, args: ["--roles", "worker"] });
    try {
      for (const own of ["/livez", "/readyz", "/health"])
        assert.equal((await fetch(`${server.url}${own}`)).status, 200, own);
      const info = infoView.parse(await server.request("GET", "/api/v1/info"));
      assert.deepEqual(info.roles, ["worker"]);
      await assert.rejects(server.request("GET", "/api/v1/environments"), /421.*not-served/u);
    } finally {
      await server.stop();
      await remove();
    }
  });
});
