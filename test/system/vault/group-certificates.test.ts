import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after as atEnd, before as atBegin, describe, test } from "node:test";
import { z } from "zod";
import { observedView, resourceView } from "../../../src/contract/rest-resource.ts";
import { assertClean, assertFilesClean } from "../../support/canary.ts";
import { acted, complaintsAboutKept } from "../../support/certificate-site.ts";
import {
  certificateOf,
  goodOnes,
  groupCertificateTemplate,
  groupPolicy,
  groupVariables,
  inVault,
  told,
} from "../../support/group-certificate-site.ts";
import { Site } from "../../support/site.ts";
import { Vault } from "../../support/vault.ts";
import { makePki, makeRole } from "../../support/vault-pki.ts";
import { vaultSkip } from "../../support/vault-program.ts";

const observedSchema = z.object({ observed: z.array(observedView), items: z.array(resourceView) });

describe("certificates of groups, in a real Vault", { skip: vaultSkip }, () => {
  let vault: Vault;
  let site: Site;
  const keys: string[] = [];
  const variables = () => groupVariables(vault);
  atBegin(async () => {
    vault = await Vault.start();
    await makePki(vault);
    await makeRole(vault, "brief", { max_ttl: "48s" });
    await vault.policy("glasshouse", groupPolicy);
    site = await Site.open({ env: await variables() });
    await site.register(groupCertificateTemplate(site));
  });
  atEnd(async () => {
    await site.close();
    await vault.close();
  });

  async function kept(name: string): ReturnType<typeof inVault> {
    const found = await inVault(vault, name);
    keys.push(...found.data.key.split("\n").filter((line) => line.length === 64));
    return found;
  }
  const seen = async (name: string): Promise<z.output<typeof observedSchema>> =>
    observedSchema.parse(await site.get(`/environments/${name}/resources`));
  const ofWeb = async (name: string) =>
    (await seen(name)).observed.filter(({ group }) => group === "web");

  test("are issued by their role, with the documented policy and no more", async () => {
    const run = await site.create("own", "served");
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const { data, metadata } = await kept("own");
    assert.deepEqual(complaintsAboutKept(data), []);
    assert.equal(metadata.version, 2);
    const one = await certificateOf(site, "own");
    assert.deepEqual(await goodOnes(vault, "own"), [one.serial]);
    assert.deepEqual(await told(site, "own"), { serial: one.serial, where: "shop/own/tls" });
    assert.deepEqual(
      [one.name, one.keeper, one.version, one.commonName, one.altNames],
      [
        "web",
        "vault",
        1,
        "own.example.com",
        ["own.example.com", "api.own.example.com", "10.0.0.1"],
      ],
    );
    assert.deepEqual((await site.environment("own")).outputs, { expires: one.notAfter });
  });

  test("are shown among what was seen, and their end in the metrics", async () => {
    const [one] = await ofWeb("own");
    const { serial, notAfter } = await certificateOf(site, "own");
    assert.deepEqual(
      [one?.type, one?.address, one?.externalId, one?.attributes["notAfter"]],
      ["vault_pki_certificate", "secret/shop/own/tls", serial, notAfter],
    );
    const { body } = await site.server.send("GET", "/metrics");
    const gauge = /^glasshouse_certificate_expiry_seconds (?<left>[\d.e+]+)$/mu.exec(String(body));
    const left = Number(gauge?.groups?.["left"]);
    assert.ok(Math.abs(left - (Date.parse(notAfter) - Date.now()) / 1000) < 60, String(left));
  });

  test("are issued once: an update that changes nothing asks nobody", async () => {
    const run = await site.update("own", {});
    assert.equal(run.progress.skipped, run.progress.total);
    assert.equal((await kept("own")).metadata.version, 2);
  });

  test("are planned in the words of all groups, without what is secret", async () => {
    await site.register(
      groupCertificateTemplate(site, { version: "1.1.0", settings: { altNames: ["10.0.0.2"] } }),
    );
    const plan = await site.plan("own", { template: "served@1.1.0" });
    const step = plan.steps.find(({ key }) => key === "apply:served/web");
    const [change] = step?.changes ?? [];
    assert.deepEqual([change?.address, change?.action], ["secret/shop/own/tls", "replace"]);
    assert.match(JSON.stringify(change?.before), /api\.own\.example\.com/u);
    assert.match(JSON.stringify(change?.after), /10\.0\.0\.2/u);
    assert.doesNotMatch(JSON.stringify(plan), /PRIVATE KEY/u);
  });

  test("are replaced when names change, what uses them runs again, and then the one before is revoked", async () => {
    const earlier = await certificateOf(site, "own");
    await acted(site, "own");
    await site.outside.write("own.name", "own.example.org");
    await site.register(groupCertificateTemplate(site, { version: "1.2.0", note: "moved" }));
    const run = await site.update("own", { template: "served@1.2.0" });
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const later = await certificateOf(site, "own");
    assert.deepEqual([later.commonName, later.version], ["own.example.org", 2]);
    assert.notEqual(later.serial, earlier.serial);
    assert.deepEqual(await acted(site, "own"), ["server"]);
    assert.equal((await told(site, "own")).serial, later.serial);
    assert.deepEqual(await goodOnes(vault, "own"), [later.serial]);
    assert.deepEqual(complaintsAboutKept((await kept("own")).data), []);
  });

  test("are issued anew by rotate, by their group's name too", async () => {
    const earlier = await certificateOf(site, "own");
    const body = { secrets: ["web"] };
    const run = await site.settled(await site.ask("POST", "/environments/own/rotate", { body }));
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const later = await certificateOf(site, "own");
    assert.equal(later.version, earlier.version + 1);
    assert.deepEqual(await goodOnes(vault, "own"), [later.serial]);
    assert.deepEqual(await acted(site, "own"), ["server"]);
    const again = await site.update("own", {});
    assert.equal(again.progress.skipped, again.progress.total);
  });

  test("whose key another has changed are drift, not overwritten, and put right once that was shown", async () => {
    await vault.request("POST", "secret/data/shop/own/tls", { data: { key: "of mallory" } });
    await site.register(
      groupCertificateTemplate(site, { version: "1.3.0", settings: { ttl: "50h" } }),
    );
    const refused = await site.update("own", { template: "served@1.3.0" });
    assert.match(refused.reason ?? "", /Somebody else has changed secret\/shop\/own\/tls/u);
    const drift = await site.drift("own");
    const found = drift.groups.filter((group) => group.drift === "drifted");
    assert.deepEqual(
      found.map(({ group, changes }) => [group, changes[0]?.action]),
      [["web", "update"]],
    );
    const mended = await site.update("own", {});
    assert.equal(mended.status, "succeeded", mended.reason ?? "");
    const one = await certificateOf(site, "own");
    assert.deepEqual(complaintsAboutKept((await kept("own")).data), []);
    assert.deepEqual(await goodOnes(vault, "own"), [one.serial]);
  });

  test("that were taken away, or revoked at the authority, are drift and issued again", async () => {
    await vault.request("DELETE", "secret/metadata/shop/own/tls");
    assert.equal((await site.drift("own")).drifted, true);
    assert.deepEqual(await ofWeb("own"), []);
    assert.equal((await site.update("own", {})).status, "succeeded");
    const { serial } = await certificateOf(site, "own");
    assert.deepEqual(await goodOnes(vault, "own"), [serial]);
    assert.equal((await site.drift("own")).drifted, false);
    const colons = serial.match(/../gu)?.join(":");
    await vault.request("POST", "pki/revoke", { serial_number: colons });
    assert.equal((await site.drift("own")).drifted, true);
    assert.equal((await ofWeb("own")).length, 1);
    assert.equal((await site.update("own", {})).status, "succeeded");
    const later = await certificateOf(site, "own");
    assert.notEqual(later.serial, serial);
    assert.deepEqual(await goodOnes(vault, "own"), [later.serial]);
  });

  test("in their renewal window are drift, and renewed by themselves with what uses them", async () => {
    await site.register(
      groupCertificateTemplate(site, { version: "2.0.0", settings: { role: "brief" } }),
    );
    assert.equal((await site.create("brief", "served@2.0.0")).status, "succeeded");
    const first = await certificateOf(site, "brief");
    await acted(site, "brief");
    assert.equal((await site.drift("brief")).drifted, false);
    const dueMs = Date.parse(first.renewAt ?? "") - Date.now();
    assert.ok(dueMs > 0 && dueMs < 48_000, String(dueMs));
    await new Promise((resolve) => setTimeout(resolve, dueMs + 1_000));
    const plan = await site.plan("brief");
    assert.equal(
      plan.steps.some(({ mark }) => mark === "exact"),
      false,
    );
    assert.equal((await site.drift("brief")).drifted, true);
    // A server looks for what is due when it starts, and then every minute.
    site.server.kill();
    await site.server.ended;
    await site.start();
    const renewed = await site.environmentWhen(
      "brief",
      ({ certificates, status }) => certificates[0]?.version === 2 && status === "deployed-ok",
    );
    assert.deepEqual(await goodOnes(vault, "brief"), [renewed.certificates[0]?.serial]);
    assert.deepEqual(await acted(site, "brief"), ["server"]);
    assert.equal((await site.destroy("brief")).status, "succeeded");
  });

  test("a key of somebody else is never taken over, nor taken away", async () => {
    await vault.request("POST", "secret/data/shop/taken/tls", { data: { key: "theirs" } });
    const run = await site.create("taken", "served@1.0.0");
    assert.equal(run.status, "failed");
    assert.match(run.reason ?? "", /did not make it/u);
    assert.deepEqual(await goodOnes(vault, "taken"), []);
    assert.equal((await site.destroy("taken")).status, "succeeded");
    assert.equal((await vault.send("GET", "secret/data/shop/taken/tls")).status, 200);
  });

  test("a key moves with its path, and nothing stays where it was", async () => {
    await site.register(
      groupCertificateTemplate(site, {
        version: "3.0.0",
        settings: { path: "shop/${{ environment.name }}/elsewhere" },
      }),
    );
    assert.equal((await site.create("moving", "served@1.0.0")).status, "succeeded");
    const run = await site.update("moving", { template: "served@3.0.0" });
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.equal((await vault.send("GET", "secret/metadata/shop/moving/tls")).status, 404);
    const { serial } = await certificateOf(site, "moving");
    assert.deepEqual(await goodOnes(vault, "moving"), [serial]);
    assert.equal((await site.destroy("moving")).status, "succeeded");
    assert.equal((await vault.send("GET", "secret/metadata/shop/moving/elsewhere")).status, 404);
    assert.deepEqual(await goodOnes(vault, "moving"), []);
  });

  test("are only those that the operator grants to the template, where that is said", async () => {
    const file = join(vault.directory, "glasshouse.yaml");
    const granted = { served: { paths: ["secret/shop/*"], roles: ["pki/web"] } };
    await writeFile(file, JSON.stringify({ vault: { grants: granted } }));
    const careful = await Site.open({ env: await variables(), args: ["--config", file] });
    try {
      await careful.register(groupCertificateTemplate(careful));
      for (const [version, settings] of [
        ["1.1.0", { role: "brief" }],
        ["1.2.0", { path: "glasshouse/x" }],
        ["1.3.0", { pki: "inner" }],
      ] as const) {
        await careful.register(groupCertificateTemplate(careful, { version, settings }));
        const run = await careful.create(`v${version[2]}`, `served@${version}`);
        assert.match(run.failure?.message ?? "", /template served may not use.*vault\.grants/u);
        assert.equal(run.failure?.code, "forbidden");
        assert.equal((await careful.destroy(`v${version[2]}`)).status, "succeeded");
      }
      const run = await careful.create("granted", "served@1.0.0");
      assert.equal(run.status, "succeeded", run.reason ?? "");
    } finally {
      await careful.close();
    }
  });

  test("are revoked with their group also when somebody has taken the key away", async () => {
    assert.equal((await site.create("keyless", "served@1.0.0")).status, "succeeded");
    await vault.request("DELETE", "secret/metadata/shop/keyless/tls");
    assert.equal((await goodOnes(vault, "keyless")).length, 1);
    assert.equal((await site.destroy("keyless")).status, "succeeded");
    assert.deepEqual(await goodOnes(vault, "keyless"), []);
  });

  test("stay good after a renewal while another environment may use them, and go with their own", async () => {
    await site.register({
      name: "user",
      more: { requires: { it: { environment: "shared", outputs: ["expires"] } } },
      groups: { web: "${{ requires.it.outputs.expires }}" },
    });
    assert.equal((await site.create("shared", "served@1.0.0")).status, "succeeded");
    assert.equal((await site.create("user", "user")).status, "succeeded");
    const rotated = await site.settled(await site.ask("POST", "/environments/shared/rotate"));
    assert.equal(rotated.status, "succeeded", rotated.reason ?? "");
    assert.equal((await goodOnes(vault, "shared")).length, 2);
    assert.equal((await site.destroy("user")).status, "succeeded");
    assert.equal((await site.destroy("shared")).status, "succeeded");
    assert.deepEqual(await goodOnes(vault, "shared"), []);
  });

  test("go with their environment: all revoked, the key with its versions and metadata gone", async () => {
    await kept("own");
    assert.equal((await site.destroy("own")).status, "succeeded");
    assert.equal((await vault.send("GET", "secret/metadata/shop/own/tls")).status, 404);
    assert.deepEqual(await goodOnes(vault, "own"), []);
    assert.deepEqual((await site.environment("own")).certificates, []);
  });

  test("no answer, event, log and file of the server holds a key", async () => {
    const run = await site.create("logged", "served@1.0.0");
    await kept("logged");
    const texts: unknown[] = [
      await site.environment("logged"),
      await site.get("/events?limit=500"),
    ];
    for (const step of await site.steps(run)) texts.push(step, await site.log(step));
    texts.push(await seen("logged"));
    for (const [at, text] of texts.entries())
      assertClean(`answer ${at}`, Buffer.from(JSON.stringify(text)), keys);
    await assertFilesClean(site.data, keys);
    assertClean("the server's output", Buffer.from(site.server.output), keys);
    assert.ok(keys.length >= 6);
  });
});
