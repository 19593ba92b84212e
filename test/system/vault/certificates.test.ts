import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after as atEnd, before as atBegin, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { assertClean, assertFilesClean, processTexts } from "../../support/canary.ts";
import {
  acted,
  certificate,
  certificateTemplate,
  complaintsAboutKept,
  kept,
  serialOf,
} from "../../support/certificate-site.ts";
import { Site } from "../../support/site.ts";
import { Vault } from "../../support/vault.ts";
import { issuedBy, makePki } from "../../support/vault-pki.ts";
import { vaultSkip } from "../../support/vault-program.ts";
import { stepWaits } from "../../support/waits.ts";

const keptSchema = z.object({
  data: z.object({ data: z.object({ key: z.string(), certificate: z.string() }) }),
});
const authoritiesSchema = z.object({
  items: z.array(z.object({ name: z.string(), certificate: z.string() })),
});

/** The policies as the documentation gives them, for secrets and for certificates: the tests run with no more. */
const policy = [
  ...readFileSync(join(import.meta.dirname, "../../../docs/vault.md"), "utf8").matchAll(
    /```hcl\n(?<rules>[^]*?)```/gu,
  ),
]
  .map(({ groups }) => groups?.["rules"] ?? "")
  .join("\n");

describe("an environment whose certificates are of Vault", { skip: vaultSkip }, () => {
  let vault: Vault;
  let site: Site;
  const keys: string[] = [];
  const variables = async (): Promise<Readonly<Record<string, string>>> => ({
    GLASSHOUSE_VAULT_ADDRESS: vault.url,
    GLASSHOUSE_VAULT_TOKEN: "env:THE_TOKEN",
    GLASSHOUSE_TELEMETRY_LEVEL: "debug",
    THE_TOKEN: await vault.token(["glasshouse"], { no_default_policy: true }),
  });
  atBegin(async () => {
    vault = await Vault.start();
    await makePki(vault);
    await vault.policy("glasshouse", policy);
    site = await Site.open({ env: await variables() });
    await site.register(certificateTemplate(site));
  });
  atEnd(async () => {
    await site.close();
    await vault.close();
  });

  async function given(name: string, at = site): ReturnType<typeof kept> {
    const parts = await kept(at, name);
    keys.push(...parts.key.split("\n").filter((line) => line.length === 64));
    return parts;
  }
  const pathOf = async (name: string): Promise<string> =>
    `glasshouse/${(await site.environment(name)).id}/tls/web`;
  const isRevoked = async (pem: string): Promise<boolean> =>
    (await issuedBy(vault)).some(({ serial, revoked }) => serial === serialOf(pem) && revoked);

  test("is issued by its role, with the documented policy and no more, and handed on", async () => {
    await site.outside.write("hold");
    const command = await site.ask("POST", "/environments", {
      body: { name: "own", template: "tls" },
    });
    while ((await site.outside.read("own.acted")) === null) await sleep(40);
    const parts = await given("own");
    for (const { what, bytes } of await processTexts()) assertClean(what, bytes, keys);
    await site.outside.remove("hold");
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual(complaintsAboutKept(parts), []);
    const { data } = keptSchema.parse(
      await vault.request("GET", `secret/data/${await pathOf("own")}`),
    ).data;
    assert.deepEqual([data.key, data.certificate], [parts.key, parts.certificate]);
    const [one] = (await site.environment("own")).certificates;
    assert.deepEqual(
      [one?.keeper, one?.commonName, one?.serial, one?.issuer],
      ["vault", "own.example.com", serialOf(parts.certificate), "CN=Test root"],
    );
    const { items } = authoritiesSchema.parse(await site.get("/authorities"));
    assert.deepEqual(
      items.map(({ name, certificate: pem }) => [name, pem]),
      [["vault", parts.ca]],
    );
  });

  test("is issued once: an update that changes nothing asks nobody", async () => {
    const run = await site.update("own", {});
    assert.equal(run.progress.skipped, run.progress.total);
    assert.equal((await issuedBy(vault, (pem) => named(pem, "own"))).length, 1);
  });

  test("is issued anew by rotate, with what uses it, and then the one before is revoked", async () => {
    const earlier = await given("own");
    await acted(site, "own");
    const run = await site.settled(await site.ask("POST", "/environments/own/rotate"));
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.deepEqual(await acted(site, "own"), ["server"]);
    const later = await given("own");
    assert.notEqual(later.key, earlier.key);
    assert.equal(await isRevoked(earlier.certificate), true);
    assert.equal(await isRevoked(later.certificate), false);
  });

  test("waits with a reason while Vault is sealed, and while it is away, and goes on by itself", async () => {
    await vault.seal();
    const command = await site.ask("POST", "/environments", {
      body: { name: "sealed", template: "tls" },
    });
    await stepWaits(site, command, /Vault is sealed/u);
    assert.equal((await site.send("GET", "/authorities")).status, 503);
    await vault.unseal();
    assert.equal((await site.settled(command)).status, "succeeded");
    await vault.kill();
    const rotate = await site.ask("POST", "/environments/sealed/rotate");
    await stepWaits(site, rotate, /cannot be reached|is down/u);
    await vault.run();
    await vault.unseal();
    assert.equal((await site.settled(rotate)).status, "succeeded");
    assert.deepEqual(complaintsAboutKept(await given("sealed")), []);
  });

  test("waits while its policy is taken away, revokes nothing, and goes on when it is back", async () => {
    const { certificate: pem } = await given("sealed");
    await vault.policy("glasshouse", policy.replace(/path "pki\/revoke"[^}]*\}/u, ""));
    const command = await site.ask("DELETE", "/environments/sealed");
    await stepWaits(site, command, /denies this.*policy/su);
    assert.equal(await isRevoked(pem), false);
    const path = await pathOf("sealed");
    assert.equal((await vault.send("GET", `secret/data/${path}`)).status, 200);
    await vault.policy("glasshouse", policy);
    assert.equal((await site.settled(command)).status, "succeeded");
    assert.equal(await isRevoked(pem), true);
    assert.equal((await vault.send("GET", `secret/metadata/${path}`)).status, 404);
  });

  test("fails by name when its role is missing, and is issued once the role is there", async () => {
    const more = { certificates: { web: certificate({ role: "absent" }) } };
    await site.register(certificateTemplate(site, { version: "1.1.0", more }));
    const run = await site.create("roleless", "tls@1.1.0");
    assert.equal(run.status, "failed");
    assert.match(
      run.failure?.message ?? "",
      /no role absent in a PKI engine at pki: make it there/u,
    );
    const update = await site.update("roleless", { template: "tls@1.0.0" });
    assert.equal(update.status, "succeeded", update.reason ?? "");
  });

  test("a run that was given up while it waited leaves nothing that is good", async () => {
    await vault.policy("glasshouse", policy.replace(/path "secret\/metadata[^}]*\}/u, ""));
    const command = await site.ask("POST", "/environments", {
      body: { name: "given-up", template: "tls@1.0.0" },
    });
    const run = await stepWaits(site, command, /denies this/u);
    await site.ask("POST", `/runs/${run.id}/cancel`);
    await site.settled(command);
    await vault.policy("glasshouse", policy);
    assert.equal((await site.destroy("given-up")).status, "succeeded");
    const metadata = `secret/metadata/${await pathOf("given-up")}`;
    assert.equal((await vault.send("GET", metadata)).status, 404);
    const mine = await issuedBy(vault, (pem) => named(pem, "given-up"));
    assert.deepEqual(
      mine.filter(({ revoked }) => !revoked),
      [],
    );
  });

  for (const [at, name] of [
    ["step.claimed", "k-claimed"],
    ["step.prepared", "k-prepared"],
    ["step.acted", "k-acted"],
    ["step.recording", "k-recording"],
    ["step.recorded", "k-recorded"],
  ] as const) {
    test(`killed at ${at}, one is recorded and no other is good`, async () => {
      // The second one of each is that of the certificate, but for what it does not have: then it is the next group's.
      const env = { ...(await variables()), GLASSHOUSE_CRASH_AT: `${at}:kill:2` };
      const crashing = await Site.open({ env });
      try {
        await crashing.register(certificateTemplate(crashing));
        const command = await crashing.ask("POST", "/environments", {
          body: { name, template: "tls" },
        });
        await crashing.server.ended;
        await crashing.start({ env: await variables() });
        const run = await crashing.settled(command);
        assert.equal(run.status, "succeeded", run.reason ?? "");
        const mine = await issuedBy(vault, (pem) => named(pem, name));
        const { certificate: pem } = await given(name, crashing);
        assert.deepEqual(
          mine.filter(({ revoked }) => !revoked).map(({ serial }) => serial),
          [serialOf(pem)],
        );
      } finally {
        await crashing.close();
      }
    });
  }

  test("no answer, event, log and file of the server holds a key", async () => {
    const run = await site.create("logged", "tls@1.0.0");
    await given("logged");
    const texts: unknown[] = [await site.environment("own"), await site.get("/events?limit=500")];
    for (const step of await site.steps(run)) texts.push(step, await site.log(step));
    assert.match(await site.log(await site.step(run, "apply:tls/server")), /\(secret\)/u);
    for (const [at, text] of texts.entries())
      assertClean(`answer ${at}`, Buffer.from(JSON.stringify(text)), keys);
    await assertFilesClean(site.data, keys);
    assertClean("the server's output", Buffer.from(site.server.output), keys);
    assert.ok(keys.length >= 10);
  });
});

function named(pem: string, environment: string): boolean {
  return new X509Certificate(pem).subject === `CN=${environment}.example.com`;
}
