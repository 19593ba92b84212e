import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { assertClean, assertFilesClean, filesBelow, processTexts } from "../../support/canary.ts";
import { Site } from "../../support/site.ts";
import { engines } from "../terraform/engines.ts";

const engine = engines.find(({ skip }) => skip === false) ?? engines[0];
const canaries = Array.from(
  { length: 5 },
  (_, n) => `canary${n}${randomBytes(12).toString("hex")}`,
);
/** What the commands make of a secret by themselves: it proves that they had the right one. */
const proof = (secret: string): string => `${secret.length}:${secret.slice(-3)}`;

describe("secrets", () => {
  let site: Site;
  const terraformSecret = `canaryT${randomBytes(12).toString("hex")}`;
  const all = [...canaries, terraformSecret];
  before(async () => {
    site = await Site.open({
      env: {
        GLASSHOUSE_EXECUTORS_TERRAFORM_PROGRAM: engine?.path ?? "terraform",
        GLASSHOUSE_TELEMETRY_LEVEL: "debug",
      },
    });
    const parameters = Object.fromEntries(
      canaries.map((_, n) => [`s${n}`, { type: "string", secret: true }]),
    );
    const inputs = Object.fromEntries(
      canaries.map((_, n) => [
        `i${n}`,
        n === 1 ? "url://u:${{ parameters.s1 }}@h" : `\${{ parameters.s${n} }}`,
      ]),
    );
    await site.register({
      name: "sealed",
      more: { parameters: { ...parameters, plain: { type: "string", default: "p" } } },
      groups: {
        user: {
          more: {
            with: {
              create: ["./use", "create", site.outside.directory, "${{ parameters.plain }}"],
              observe: ["./use", "observe", site.outside.directory, "${{ parameters.plain }}"],
              inputs,
            },
            outputs: [],
          },
        },
        ...(engine?.skip === false
          ? {
              maker: {
                more: {
                  executor: "terraform",
                  with: { source: "./maker", variables: { seed: "${{ parameters.s4 }}" } },
                  outputs: ["made"],
                },
              },
              taker: {
                more: {
                  with: {
                    create: ["./take", site.outside.directory],
                    inputs: { got: "${{ groups.maker.outputs.made }}" },
                  },
                  outputs: [],
                },
              },
            }
          : {}),
      },
      files: {
        use: `#!/bin/sh
set -eu
input=$(cat)
[ "$1" = observe ] && exit 0
printf '%s' "$input" | grep -o '"i[0-9]":"[^"]*"' | while IFS= read -r line; do
  value=\${line#*:\\"}; value=\${value%\\"}
  echo "the secret is $value"
  printf '%s' "$value" | base64
  printf '%s:%s\\n' "\${#value}" "$(printf '%s' "$value" | tail -c 3)" >> "$2/proof"
done
env > "$2/environ"
while [ -e "$2/hold" ]; do sleep 0.05; done
`,
        take: `#!/bin/sh
set -eu
value=$(grep -o '"got":"[^"]*"' | cut -d '"' -f 4)
echo "took $value"
printf '%s:%s\\n' "\${#value}" "$(printf '%s' "$value" | tail -c 3)" > "$1/taken"
`,
        "maker/main.tf": `
variable "seed" {
  type      = string
  sensitive = true
}
resource "terraform_data" "it" { input = var.seed }
output "made" {
  value     = "${terraformSecret}\${substr(terraform_data.it.output, 0, 0)}"
  sensitive = true
}
`,
      },
    });
  });
  after(() => site.close());

  const parameters = Object.fromEntries(canaries.map((secret, n) => [`s${n}`, secret]));

  test("commands get them on standard input alone: no argument, no environment of any process", async () => {
    await site.outside.write("hold");
    const command = await site.ask("POST", "/environments", {
      body: { name: "safe", template: "sealed", parameters },
    });
    while ((await site.outside.read("environ")) === null) {
      await new Promise((resolve) => {
        setTimeout(resolve, 40);
      });
    }
    for (const text of await processTexts()) assertClean(text.what, text.bytes, canaries);
    assertClean(
      "the command's environment",
      Buffer.from((await site.outside.read("environ")) ?? ""),
      canaries,
    );
    await site.outside.remove("hold");
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const url = `url://u:${canaries[1] ?? ""}@h`;
    const given = canaries.map((secret, n) => (n === 1 ? url : secret));
    const proofs = (await site.outside.read("proof"))?.trim().split("\n").toSorted();
    assert.deepEqual(proofs, given.map(proof).toSorted());
    if (engine?.skip === false)
      assert.equal((await site.outside.read("taken"))?.trim(), proof(terraformSecret));
  });

  test("an update with the same secret runs nothing; with another one what uses it", async () => {
    const run = await site.update("safe", { parameters: { s0: canaries[0] } });
    assert.equal(run.progress.skipped, run.progress.total, JSON.stringify(run));
    const changed = await site.update("safe", { parameters: { s0: `${canaries[0] ?? ""}x` } });
    assert.equal(changed.status, "succeeded", changed.reason ?? "");
    assert.equal((await site.step(changed, "apply:sealed/user")).status, "succeeded");
  });

  test("answers, events and logs show a mask in their place", async () => {
    const environment = await site.environment("safe");
    assert.notEqual(environment.parameters["s0"], undefined);
    const runs = await site.send("GET", "/environments/safe/runs");
    const texts: unknown[] = [environment, await site.events("safe"), runs.body];
    const plan = await site.plan("safe", { parameters: { plain: "q", s2: canaries[3] } });
    texts.push(plan);
    for (const path of ["resources", "graph", "drift", "plans", "checks"])
      texts.push((await site.send("GET", `/environments/safe/${path}`)).body);
    const create = await site.create("again", "sealed", { parameters });
    for (const step of await site.steps(create)) texts.push(step, await site.log(step));
    const log = await site.log(await site.step(create, "apply:sealed/user"));
    assert.match(log, /the secret is/u);
    texts.push(await site.get("/events?limit=500&after=0"));
    for (const [at, text] of texts.entries())
      assertClean(`answer ${at}`, Buffer.from(JSON.stringify(text)), all);
    const refused = await site.send("PATCH", "/environments/safe", {
      body: { parameters: { s1: 5, s2: [canaries[2]] } },
    });
    assertClean("a refusal", Buffer.from(JSON.stringify(refused.body)), all);
  });

  test("no file of the server holds one: database, journal of it, blobs, work directories, its own output", async () => {
    const looked: string[] = [];
    for await (const { path, bytes } of filesBelow(site.data)) {
      looked.push(path);
      assertClean(path, bytes, canaries);
      // The template is not secret; the secret that its Terraform makes stands in there, so its own files are left out.
      if (!bytes.includes('resource "terraform_data"')) assertClean(path, bytes, [terraformSecret]);
    }
    assert.ok(looked.some((path) => path.endsWith(".db")) && looked.length > 5, looked.join("\n"));
    assertClean("the server's output", Buffer.from(site.server.output), all);
    assert.equal((await stat(site.data)).mode & 0o077, 0, "the data directory is open to others");
    await site.server.stop();
    await assertFilesClean(site.data, canaries);
    await site.start();
  });

  test("after destroy the sealed values are gone and what is left can still be read", async () => {
    assert.equal((await site.destroy("safe")).status, "succeeded");
    assert.equal((await site.environment("safe")).status, "destroyed");
    assertClean(
      "the destroyed environment",
      Buffer.from(JSON.stringify(await site.environment("safe"))),
      all,
    );
  });
});
