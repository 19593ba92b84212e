import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { Site, until } from "../../support/site.ts";
import { engines } from "../terraform/engines.ts";

const engine = engines.find(({ skip }) => skip === false) ?? engines[0];

/** Each thing writes a line when it is made and when it is taken down; `second` fails while a file says so. */
const main = `
variable "world" { type = string }
variable "size" { type = number }
resource "terraform_data" "first" {
  input = var.world
  provisioner "local-exec" {
    command = "echo made-first >> \${var.world}/tf-ledger"
  }
  provisioner "local-exec" {
    when    = destroy
    command = "echo gone-first >> \${self.input}/tf-ledger"
  }
}
resource "terraform_data" "second" {
  depends_on       = [terraform_data.first]
  input            = var.size
  triggers_replace = [var.size]
  provisioner "local-exec" {
    command = "[ ! -e \${var.world}/tf-broken ] || { echo 'second is broken' >&2; exit 1; }; echo made-second-\${var.size} >> \${var.world}/tf-ledger"
  }
}
output "size" { value = terraform_data.second.output }
`;

describe("Terraform in an environment", { skip: engine === undefined || engine.skip }, () => {
  let site: Site;
  before(async () => {
    site = await Site.open({
      env: { GLASSHOUSE_EXECUTORS_TERRAFORM_PROGRAM: engine?.path ?? "terraform" },
    });
    await site.register({
      name: "tf",
      more: { parameters: { size: { type: "integer", default: 1 } } },
      groups: {
        infra: {
          more: {
            executor: "terraform",
            outputs: ["size"],
            with: {
              source: "./infra",
              variables: { world: site.outside.directory, size: "${{ parameters.size }}" },
            },
            retry: { attempts: 1 },
          },
        },
        user: { value: "size ${{ string(groups.infra.outputs.size) }}" },
      },
      files: { "infra/main.tf": main },
    });
  });
  after(() => site.close());

  const ledger = async (): Promise<readonly string[]> =>
    (await site.outside.read("tf-ledger"))?.trim().split("\n") ?? [];

  test("a failure half-way leaves what was made recorded, and retry goes on from there", async () => {
    await site.outside.write("tf-broken");
    const run = await site.create("half", "tf");
    assert.equal(run.status, "failed");
    assert.match(run.reason ?? "", /infra/u);
    assert.deepEqual(await ledger(), ["made-first"]);
    await site.drift("half");
    const observed = JSON.stringify(await site.get("/environments/half/resources"));
    assert.match(observed, /terraform_data\.first/u);
    assert.deepEqual(await ledger(), ["made-first"]);
    const failed = await site.step(run, "apply:tf/infra");
    assert.match(await site.log(failed), /second is broken/u);
    assert.equal((await site.environment("half")).status, "deployed-failed");

    await site.outside.remove("tf-broken");
    const again = await site.settled(await site.ask("POST", `/runs/${run.id}/retry`));
    assert.equal(again.status, "succeeded", again.reason ?? "");
    assert.deepEqual(await ledger(), ["made-first", "made-second-1"]);
    assert.equal(await site.outside.read("half.user.made"), "size 1");
  });

  test("a plan of a change shows addresses, and applying it does just that", async () => {
    const plan = await site.plan("half", { parameters: { size: 2 } });
    assert.equal(plan.status, "ready");
    const infra = plan.steps.find((step) => step.group === "infra");
    assert.equal(infra?.mark, "exact");
    assert.deepEqual(
      infra.changes.filter(({ action }) => action !== "none").map((c) => [c.address, c.action]),
      [["terraform_data.second", "replace"]],
    );
    assert.equal(plan.steps.find((step) => step.group === "user")?.mark, "deferred");
    assert.equal((await ledger()).length, 2);
    const run = await site.settled(
      await site.command("environment.apply", "half", { plan: plan.id }),
    );
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.equal((await ledger()).at(-1), "made-second-2");
    assert.equal(await site.outside.read("half.user.made"), "size 2");
  });

  test("a deferred replace waits for approval; any does not ask", async () => {
    await site.register({
      name: "later",
      more: { parameters: { seed: { type: "string", default: "1" } } },
      groups: {
        seed: "${{ parameters.seed }}",
        infra: {
          more: {
            executor: "terraform",
            outputs: ["size"],
            with: {
              source: "./infra",
              variables: {
                world: site.outside.directory,
                size: "${{ groups.seed.outputs.value }}",
              },
            },
          },
        },
      },
      files: { "infra/main.tf": main },
    });
    await site.create("later", "later");
    const plan = await site.plan("later", { parameters: { seed: "2" } });
    assert.equal(plan.steps.find((step) => step.group === "infra")?.mark, "deferred");
    const run = await site.settled(
      await site.command("environment.apply", "later", { plan: plan.id }),
    );
    assert.equal(run.status, "waiting");
    assert.equal(run.blocker?.kind, "approval");
    assert.match(run.reason ?? "", /terraform_data\.second/u);
    assert.equal((await ledger()).at(-1), "made-second-1");
    await site.command("run.approve", run.id);
    await site.runWhen(run, ({ status }) => status === "succeeded");
    assert.equal((await ledger()).at(-1), "made-second-2");
    const other = await site.plan("later", { parameters: { seed: "3" } });
    const freely = await site.settled(
      await site.command("environment.apply", "later", { plan: other.id, deferred: "any" }),
    );
    assert.equal(freely.status, "succeeded", freely.reason ?? "");
  });

  test("cancel interrupts Terraform once; what it made is recorded and destroyed", async () => {
    const earlier = (await ledger()).length;
    await site.register({
      name: "slow",
      groups: {
        infra: {
          more: {
            executor: "terraform",
            outputs: [],
            with: { source: "./infra", variables: { world: site.outside.directory, size: 7 } },
          },
        },
      },
      files: {
        "infra/main.tf": `${main}
resource "terraform_data" "slow" {
  depends_on = [terraform_data.second]
  provisioner "local-exec" { command = "echo slow >> \${var.world}/tf-ledger; sleep 600" }
}
`,
      },
    });
    const command = await site.ask("POST", "/environments", {
      body: { name: "cut", template: "slow" },
    });
    await until(ledger, (lines) => lines.at(-1) === "slow");
    await site.ask("POST", `/runs/${command.run}/cancel`);
    const run = await site.settled(command);
    assert.equal(run.status, "cancelled");
    assert.deepEqual((await ledger()).slice(earlier), ["made-first", "made-second-7", "slow"]);
    assert.equal((await site.destroy("cut")).status, "succeeded");
    assert.equal((await ledger()).at(-1), "gone-first");
  });

  test("destroy needs neither the work directory nor the template's folder", async () => {
    await rm(join(site.directory, "templates"), { recursive: true });
    await site.server.stop();
    await rm(join(site.data, "work"), { recursive: true });
    await site.start();
    const run = await site.destroy("half");
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.equal((await ledger()).at(-1), "gone-first");
    assert.equal((await site.environment("half")).status, "destroyed");
    const left = await readdir(join(site.data, "work"), { recursive: true }).catch(() => []);
    assert.deepEqual(
      left.filter((name) => name.includes("tfstate")),
      [],
    );
  });
});
