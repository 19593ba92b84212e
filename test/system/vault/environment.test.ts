import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { healthView } from "../../../src/contract/rest-service.ts";
import { assertClean, assertFilesClean, processTexts } from "../../support/canary.ts";
import { Site, type CommandView, type RunView } from "../../support/site.ts";
import { Vault } from "../../support/vault.ts";
import { vaultSkip } from "../../support/vault-program.ts";

const keep = `#!/bin/sh
set -eu
value=$(grep -o '"password":"[^"]*"' | cut -d '"' -f 4)
echo "it is $value"
printf '%s' "$value" > "$1/$GLASSHOUSE_ENVIRONMENT_NAME.value"
while [ -e "$1/hold" ]; do sleep 0.05; done
`;
const dataSchema = z.object({
  data: z.object({
    data: z.object({ value: z.string() }),
    metadata: z.object({ version: z.int() }),
  }),
});

/** The policy as the documentation gives it: the tests run with no more. */
const policy =
  /```hcl\n(?<rules>[^]*?)```/u.exec(
    readFileSync(join(import.meta.dirname, "../../../docs/vault.md"), "utf8"),
  )?.groups?.["rules"] ?? "";

describe("an environment whose secrets are in Vault", { skip: vaultSkip }, () => {
  let vault: Vault;
  let site: Site;
  const seen: string[] = [];
  const variables = async (): Promise<Readonly<Record<string, string>>> => ({
    GLASSHOUSE_VAULT_ADDRESS: vault.url,
    GLASSHOUSE_VAULT_TOKEN: "env:THE_TOKEN",
    GLASSHOUSE_TELEMETRY_LEVEL: "debug",
    THE_TOKEN: await vault.token(["glasshouse"], { no_default_policy: true }),
  });
  before(async () => {
    vault = await Vault.start();
    await vault.policy("glasshouse", policy);
    site = await Site.open({ env: await variables() });
    await register(site);
  });
  after(async () => {
    await site.close();
    await vault.close();
  });

  async function inVault(name: string): Promise<z.output<typeof dataSchema>["data"]> {
    const { id } = await site.environment(name);
    const path = `secret/data/glasshouse/${id}/vaulted/password`;
    const found = dataSchema.parse(await vault.request("GET", path)).data;
    seen.push(found.data.value);
    return found;
  }

  /** Waits until the run says that it waits, and why. */
  async function waiting(command: CommandView, words: RegExp): Promise<RunView> {
    const deadline = Date.now() + 30_000;
    for (;;) {
      const run = await site.runWhen(command, () => true);
      const steps = await site.steps(run);
      const [step] = steps.filter(({ reason }) => words.test(reason ?? ""));
      if (step !== undefined) {
        assert.equal(run.status, "running");
        return run;
      }
      if (Date.now() > deadline || run.status === "failed")
        throw new Error(`nobody waits: ${JSON.stringify(steps)}`);
      await sleep(50);
    }
  }

  test("makes the value there, with the documented policy and no more, and hands it on", async () => {
    await site.outside.write("hold");
    const command = await site.ask("POST", "/environments", {
      body: { name: "own", template: "vaulted" },
    });
    // The file is there before its text is.
    while (((await site.outside.read("own.value")) ?? "") === "") await sleep(40);
    const { data, metadata } = await inVault("own");
    assert.equal(metadata.version, 1);
    assert.match(data.value, /^[A-Za-z0-9]{32}$/u);
    assert.equal(await site.outside.read("own.value"), data.value);
    for (const { what, bytes } of await processTexts()) assertClean(what, bytes, seen);
    await site.outside.remove("hold");
    assert.equal((await site.settled(command)).status, "succeeded");
    const [secret] = (await site.environment("own")).secrets;
    assert.deepEqual([secret?.name, secret?.version, secret?.keeper], ["password", 1, "vault"]);
  });

  test("rotates it there, and applies again what uses it", async () => {
    const earlier = await site.outside.read("own.value");
    const run = await site.settled(await site.ask("POST", "/environments/own/rotate"));
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const { data, metadata } = await inVault("own");
    assert.equal(metadata.version, 2);
    assert.notEqual(data.value, earlier);
    assert.equal(await site.outside.read("own.value"), data.value);
    const again = await site.update("own", {});
    assert.equal(again.progress.skipped, again.progress.total);
  });

  test("waits with a reason while Vault is sealed, then goes on by itself", async () => {
    await vault.seal();
    const command = await site.ask("POST", "/environments", {
      body: { name: "sealed", template: "vaulted" },
    });
    await waiting(command, /Vault is sealed/u);
    const { dependencies } = healthView.parse(await site.get("/health"));
    const shown = dependencies.find(({ name }) => name === "secrets");
    assert.equal(shown?.status, "unreachable");
    await vault.unseal();
    assert.equal((await site.settled(command)).status, "succeeded");
    assert.equal((await inVault("sealed")).metadata.version, 1);
  });

  test("waits while Vault is killed and comes back", async () => {
    await vault.kill();
    const command = await site.ask("POST", "/environments/own/rotate");
    await waiting(command, /cannot be reached|is down/u);
    await vault.run();
    await vault.unseal();
    assert.equal((await site.settled(command)).status, "succeeded");
    assert.equal((await inVault("own")).metadata.version, 3);
    assert.equal(await site.outside.read("own.value"), (await inVault("own")).data.value);
  });

  test("waits while its policy is taken away, deletes nothing, and goes on when it is back", async () => {
    await vault.policy("glasshouse", 'path "auth/token/lookup-self" { capabilities = ["read"] }');
    const command = await site.ask("DELETE", "/environments/sealed");
    await waiting(command, /denies this.*policy/su);
    assert.equal((await inVault("sealed")).metadata.version, 1);
    await vault.policy("glasshouse", policy);
    assert.equal((await site.settled(command)).status, "succeeded");
    const { id } = await site.environment("sealed");
    const path = `secret/metadata/glasshouse/${id}/vaulted/password`;
    assert.equal((await vault.send("GET", path)).status, 404);
  });

  test("a run that was given up while it waited leaves nothing in Vault once it is destroyed", async () => {
    await vault.policy("glasshouse", policy.replace(/path "secret\/metadata[^}]*\}/u, ""));
    const command = await site.ask("POST", "/environments", {
      body: { name: "given-up", template: "vaulted" },
    });
    // The value is written, its metadata is not, and so its step does not end.
    const run = await waiting(command, /denies this/u);
    assert.equal((await inVault("given-up")).metadata.version, 1);
    await site.ask("POST", `/runs/${run.id}/cancel`);
    await site.settled(command);
    await vault.policy("glasshouse", policy);
    assert.deepEqual((await site.environment("given-up")).secrets, []);
    assert.equal((await site.destroy("given-up")).status, "succeeded");
    const { id } = await site.environment("given-up");
    const { status } = await vault.send("GET", `secret/metadata/glasshouse/${id}/vaulted/password`);
    assert.equal(status, 404);
  });

  test("writes one version when it is killed between writing and recording", async () => {
    const env = { ...(await variables()), GLASSHOUSE_CRASH_AT: "step.acted:kill:1" };
    const crashing = await Site.open({ env });
    try {
      await register(crashing);
      const command = await crashing.ask("POST", "/environments", {
        body: { name: "killed", template: "vaulted" },
      });
      await crashing.server.ended;
      await crashing.start({ env: await variables() });
      assert.equal((await crashing.settled(command)).status, "succeeded");
      const { id } = await crashing.environment("killed");
      const path = `secret/data/glasshouse/${id}/vaulted/password`;
      const { data, metadata } = dataSchema.parse(await vault.request("GET", path)).data;
      assert.equal(metadata.version, 1);
      assert.equal(await crashing.outside.read("killed.value"), data.value);
    } finally {
      await crashing.close();
    }
  });

  test("the configuration may refer to values in Vault, which are looked up at the start", async () => {
    const path = "secret/data/glasshouse/servers/lab";
    await vault.request("POST", path, { data: { password: "of-the-lab" } });
    const configuration = join(vault.directory, "glasshouse.yaml");
    await writeFile(configuration, grants("vault:secret/glasshouse/servers/lab#password"));
    const args = ["--config", configuration];
    const granted = await Site.open({ env: await variables(), args });
    try {
      await granted.register({
        name: "granted",
        groups: {
          lab: { more: { with: { create: ["./lab", granted.outside.directory] }, outputs: [] } },
        },
        files: { lab: '#!/bin/sh\nprintf %s "$LAB" > "$1/lab"\n' },
      });
      await granted.create("granted", "granted");
      assert.equal(await granted.outside.read("lab"), "of-the-lab");
    } finally {
      await granted.close();
    }
    await writeFile(configuration, grants("vault:secret/glasshouse/servers/lab#none"));
    await assert.rejects(Site.open({ env: await variables(), args }), /no text none/u);
  });

  test("no answer, event, log and file of the server holds a value", async () => {
    const run = await site.create("logged", "vaulted");
    await inVault("logged");
    const texts: unknown[] = [await site.environment("own"), await site.get("/events?limit=500")];
    for (const step of await site.steps(run)) texts.push(step, await site.log(step));
    assert.match(await site.log(await site.step(run, "apply:vaulted/user")), /it is \(secret\)/u);
    for (const [at, text] of texts.entries())
      assertClean(`answer ${at}`, Buffer.from(JSON.stringify(text)), seen);
    await assertFilesClean(site.data, seen);
    assertClean("the server's output", Buffer.from(site.server.output), seen);
    assert.ok(seen.length > 4);
  });
});

async function register(at: Site): Promise<void> {
  await at.register({
    name: "vaulted",
    more: { secrets: { password: {} } },
    groups: {
      user: {
        more: {
          with: {
            create: ["./keep", at.outside.directory],
            inputs: { password: "${{ secrets.password }}" },
            repeatable: true,
          },
          outputs: [],
        },
      },
    },
    files: { keep },
  });
}

function grants(reference: string): string {
  return `executors: { command: { env: { LAB: "${reference}" } } }\n`;
}
