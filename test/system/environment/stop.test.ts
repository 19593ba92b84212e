import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { TestServer } from "../../support/server.ts";
import { Site } from "../../support/site.ts";
import { engines } from "../terraform/engines.ts";
import { sqliteOnly } from "../../support/which-store.ts";

const engine = engines.find(({ skip }) => skip === false) ?? engines[0];

describe("stopping and starting", () => {
  let site: Site;
  before(async () => {
    site = await Site.open({
      env: { GLASSHOUSE_EXECUTORS_TERRAFORM_PROGRAM: engine?.path ?? "terraform" },
    });
    await site.register({
      name: "line",
      groups: {
        a: "1",
        b: { value: "2", dependsOn: ["a"] },
        c: { value: "3", dependsOn: ["b"] },
      },
    });
  });
  after(() => site.close());

  test("SIGTERM in a running apply ends it gently, and the next start goes on without doing anything twice", async () => {
    await site.outside.hold("term", "b");
    const command = await site.ask("POST", "/environments", {
      body: { name: "term", template: "line" },
    });
    await site.begun("term", "begin-create term.b");
    await site.server.stop();
    assert.deepEqual(await site.server.ended, { code: 0, signal: null });
    assert.deepEqual(await site.outside.made("term"), ["a"]);
    await site.outside.remove("term.b.hold");
    await site.start();
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const acted = (await site.outside.ledger("term")).filter((line) => !line.startsWith("begin"));
    assert.deepEqual(acted, ["create term.a 1", "create term.b 2", "create term.c 3"]);
    assert.equal((await site.environment("term")).status, "deployed-ok");
    assert.equal((await site.commandNow(command)).status, "completed");
  });

  test("what ended while nobody looked is found by looking, not by doing it again", async () => {
    await site.outside.hold("found", "b");
    const command = await site.ask("POST", "/environments", {
      body: { name: "found", template: "line" },
    });
    await site.begun("found", "begin-create found.b");
    site.server.kill();
    await site.server.ended;
    // As if the command had come to its end with nobody there to hear it.
    await site.outside.write("found.b.made", "2");
    await site.outside.remove("found.b.hold");
    await site.start();
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const begun = (await site.outside.ledger("found")).filter((line) =>
      line.startsWith("begin-create found.b"),
    );
    assert.equal(begun.length, 1);
  });

  test("an outcome that nobody can know waits with its reason; run.retry goes on", async () => {
    await site.register({
      name: "blind",
      groups: {
        a: {
          value: "1",
          more: { with: { create: ["./thing", "create", site.outside.directory, "1"] } },
        },
        b: { value: "2", dependsOn: ["a"] },
      },
    });
    await site.outside.hold("blind", "a");
    const command = await site.ask("POST", "/environments", {
      body: { name: "blind", template: "blind" },
    });
    await site.begun("blind", "begin-create blind.a");
    site.server.kill();
    await site.server.ended;
    await site.start();
    const waiting = await site.settled(command);
    assert.equal(waiting.status, "waiting");
    assert.equal(waiting.blocker?.kind, "outcome-unknown");
    assert.match(waiting.reason ?? "", /blind\/a/u);
    assert.equal((await site.environment("blind")).status, "deploying");
    await site.outside.remove("blind.a.hold");
    await site.ask("POST", `/runs/${waiting.id}/retry`);
    const run = await site.runWhen(
      waiting,
      ({ status }) => status !== "waiting" && status !== "running",
    );
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual(await site.outside.made("blind"), ["a", "b"]);
  });

  test(
    "a second server on the same data is refused and names the first one's pid",
    { skip: sqliteOnly },
    async () => {
      await assert.rejects(TestServer.start({ data: site.data }), (error: Error) => {
        assert.match(error.message, new RegExp(`\\b${site.server.pid}\\b`, "u"));
        return true;
      });
      assert.equal((await site.send("GET", "/version")).status, 200);
    },
  );

  test(
    "SIGTERM in a Terraform apply keeps what it made; the next start ends the run with the same state",
    { skip: engine === undefined ? "no engine" : engine.skip },
    async () => {
      await site.register({
        name: "slow-tf",
        groups: {
          tf: {
            more: {
              executor: "terraform",
              outputs: ["ids"],
              with: { source: "./tf", variables: { world: site.outside.directory } },
            },
          },
        },
        files: { "tf/main.tf": slow },
      });
      await site.outside.write("tf-hold");
      const command = await site.ask("POST", "/environments", {
        body: { name: "slow-tf", template: "slow-tf" },
      });
      while ((await site.outside.read("tf-begun")) === null) {
        await new Promise((resolve) => {
          setTimeout(resolve, 50);
        });
      }
      const stopping = site.server.stop();
      await new Promise((resolve) => {
        setTimeout(resolve, 500);
      });
      await site.outside.remove("tf-hold");
      await stopping;
      await site.start();
      const run = await site.settled(command);
      assert.equal(run.status, "succeeded", run.reason ?? "");
      const lines = (await site.outside.read("tf-made"))?.trim().split("\n") ?? [];
      assert.equal(new Set(lines).size, lines.length, `made twice: ${lines.join(", ")}`);
      assert.equal((await site.drift("slow-tf")).drifted, false);
      assert.equal((await site.destroy("slow-tf")).status, "succeeded");
    },
  );
});

const slow = `
variable "world" { type = string }
resource "terraform_data" "first" {
  input = "first"
  provisioner "local-exec" {
    command = "echo first >> \${var.world}/tf-made"
  }
}
resource "terraform_data" "second" {
  input = terraform_data.first.id
  provisioner "local-exec" {
    command = "trap '' INT; touch \${var.world}/tf-begun; while [ -e \${var.world}/tf-hold ]; do sleep 0.05; done"
  }
}
resource "terraform_data" "third" {
  input = terraform_data.second.id
  provisioner "local-exec" {
    command = "echo third >> \${var.world}/tf-made"
  }
}
output "ids" { value = [terraform_data.first.id, terraform_data.third.id] }
`;
