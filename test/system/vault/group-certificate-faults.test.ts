import assert from "node:assert/strict";
import { after as atEnd, before as atBegin, describe, test } from "node:test";
import {
  certificateOf,
  goodOnes,
  groupCertificateTemplate,
  groupPolicy,
  groupVariables,
  told,
} from "../../support/group-certificate-site.ts";
import { Site } from "../../support/site.ts";
import { Vault } from "../../support/vault.ts";
import { issuedBy, makePki } from "../../support/vault-pki.ts";
import { vaultSkip } from "../../support/vault-program.ts";
import { stepWaits } from "../../support/waits.ts";

describe("certificates of groups, when something fails", { skip: vaultSkip }, () => {
  let vault: Vault;
  let site: Site;
  const variables = () => groupVariables(vault);
  atBegin(async () => {
    vault = await Vault.start();
    await makePki(vault);
    await vault.policy("glasshouse", groupPolicy);
    site = await Site.open({ env: await variables() });
    await site.register(groupCertificateTemplate(site));
  });
  atEnd(async () => {
    await site.close();
    await vault.close();
  });

  test("wait with a reason while Vault is sealed, and go on by themselves", async () => {
    await vault.seal();
    const command = await site.ask("POST", "/environments", {
      body: { name: "sealed", template: "served@1.0.0" },
    });
    await stepWaits(site, command, /Vault is sealed/u);
    await vault.unseal();
    assert.equal((await site.settled(command)).status, "succeeded");
    assert.equal((await goodOnes(vault, "sealed")).length, 1);
  });

  test("are not taken for gone while the policy is taken away, and go when it is back", async () => {
    const { serial } = await certificateOf(site, "sealed");
    for (const rule of [/path "pki\/revoke"[^}]*\}/u, /path "secret\/metadata\/shop[^}]*\}/u]) {
      await vault.policy("glasshouse", groupPolicy.replace(rule, ""));
      const command = await site.ask("DELETE", "/environments/sealed");
      const run = await stepWaits(site, command, /denies this.*policy/su);
      assert.equal((await vault.send("GET", "secret/data/shop/sealed/tls")).status, 200);
      await site.ask("POST", `/runs/${run.id}/cancel`);
      await site.settled(command);
    }
    await vault.policy("glasshouse", groupPolicy);
    assert.equal((await site.destroy("sealed")).status, "succeeded");
    assert.equal((await vault.send("GET", "secret/metadata/shop/sealed/tls")).status, 404);
    assert.deepEqual(await goodOnes(vault, "sealed"), []);
    const all = await issuedBy(vault);
    assert.equal(all.find((one) => one.serial === serial)?.revoked, true);
  });

  test("an engine that is not there is no proof that a key is gone", async () => {
    assert.equal((await site.create("unmounted", "served@1.0.0")).status, "succeeded");
    await vault.request("POST", "sys/remount", { from: "secret", to: "aside" });
    const command = await site.ask("DELETE", "/environments/unmounted");
    await stepWaits(site, command, /waits until there is a KV engine, version 2, at secret/u);
    await vault.request("POST", "sys/remount", { from: "aside", to: "secret" });
    assert.equal((await site.settled(command)).status, "succeeded");
    assert.equal((await vault.send("GET", "secret/metadata/shop/unmounted/tls")).status, 404);
  });

  for (const [at, name] of [
    ["step.claimed", "g-claimed"],
    ["step.prepared", "g-prepared"],
    ["step.acted", "g-acted"],
    ["step.recording", "g-recording"],
    ["step.recorded", "g-recorded"],
  ] as const) {
    test(`killed at ${at}, one is recorded and no other is good`, async () => {
      const env = { ...(await variables()), GLASSHOUSE_CRASH_AT: `${at}:kill:2` };
      const crashing = await Site.open({ env });
      try {
        await crashing.register(groupCertificateTemplate(crashing));
        const command = await crashing.ask("POST", "/environments", {
          body: { name, template: "served" },
        });
        await crashing.server.ended;
        await crashing.start({ env: await variables() });
        const run = await crashing.settled(command);
        assert.equal(run.status, "succeeded", run.reason ?? "");
        const [one] = (await crashing.environment(name)).certificates;
        assert.deepEqual(await goodOnes(vault, name), [one?.serial]);
        assert.equal((await told(crashing, name)).serial, one?.serial);
      } finally {
        await crashing.close();
      }
    });
  }

  for (const at of ["step.acted", "step.recording"] as const) {
    test(`killed at ${at} of a renewal, one is recorded and no other is good`, async () => {
      const name = `r-${at.slice("step.".length)}`;
      assert.equal((await site.create(name, "served@1.0.0")).status, "succeeded");
      const earlier = await certificateOf(site, name);
      await site.server.stop();
      await site.start({ env: { ...(await variables()), GLASSHOUSE_CRASH_AT: `${at}:kill:1` } });
      const command = await site.ask("POST", `/environments/${name}/rotate`);
      await site.server.ended;
      await site.start({ env: await variables() });
      assert.equal((await site.settled(command)).status, "succeeded");
      const later = await certificateOf(site, name);
      assert.equal(later.version, earlier.version + 1);
      assert.deepEqual(await goodOnes(vault, name), [later.serial]);
      assert.equal((await told(site, name)).serial, later.serial);
    });
  }
});
