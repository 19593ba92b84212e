import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { readVersion, writeVersion } from "../../../src/clients/vault/kv.ts";
import { lookAtVault } from "../../../src/clients/vault/status.ts";
import { certificateTemplate } from "../../support/certificate-site.ts";
import { documentedPolicy } from "../../support/rotation.ts";
import { Site, type RunView } from "../../support/site.ts";
import { Vault } from "../../support/vault.ts";
import { issuedBy, makePki } from "../../support/vault-pki.ts";
import { vaultSkip } from "../../support/vault-program.ts";
import { byToken, openSession } from "../../support/vault-session.ts";

const serversSchema = z.object({
  data: z.object({ config: z.object({ servers: z.array(z.object({ voter: z.boolean() })) }) }),
});
const signal = AbortSignal.timeout(240_000);

describe("a standby of Vault", { skip: vaultSkip }, () => {
  const nodes: Vault[] = [];
  let active: Vault;
  let standby: Vault;
  before(async () => {
    active = await Vault.start({ cluster: true });
    nodes.push(active);
    // One after the other: a node that joins is to find those of before.
    for (const at of [1, 2]) nodes[at] = await Vault.start({ joins: active });
    standby = nodes[1] ?? active;
    await untilHeard();
  });
  after(() => Promise.all(nodes.map((node) => node.close())));

  /** A standby that is new hears of the engine a moment later. */
  async function untilHeard(): Promise<void> {
    for (let tries = 0; tries < 300; tries += 1) {
      const { status } = await standby.send("POST", "secret/data/heard", { body: { data: {} } });
      if (status === 200) return;
      await sleep(100);
    }
    throw new Error("the standby does not take writes");
  }

  /** A node has a vote once it was well for ten seconds; the others need it to choose another one. */
  async function untilVoters(): Promise<void> {
    for (let tries = 0; tries < 600; tries += 1) {
      const answer = await active.request("GET", "sys/storage/raft/configuration");
      const { servers } = serversSchema.parse(answer).data.config;
      if (servers.filter(({ voter }) => voter).length === nodes.length) return;
      await sleep(100);
    }
    throw new Error("not every node got a vote");
  }

  test("is as good as the active one", async () => {
    const parts = openSession({ url: standby.url, login: byToken(active.root) });
    await lookAtVault(parts, signal);
    await parts.session.close();
  });

  test("gives what was written just now, and takes the version after it, 500 times", async () => {
    const { session } = openSession({ url: standby.url, login: byToken(active.root) });
    const place = { mount: "secret", path: "written/again" };
    for (let cas = 0; cas < 500; cas += 1) {
      const data = { value: String(cas) };
      assert.equal(await writeVersion(session, place, { cas, data, signal }), cas + 1);
      const found = await readVersion(session, place, { version: 0, signal });
      assert.equal(found?.version, cas + 1);
    }
    await session.close();
  });

  test("gives what was written just now to each of many that work at once", async () => {
    const { session } = openSession({ url: standby.url, login: byToken(active.root) });
    await Promise.all(
      Array.from({ length: 200 }, async (_, at) => {
        const place = { mount: "secret", path: `written/at-once-${at}` };
        for (const cas of [0, 1]) {
          const data = { value: String(at) };
          assert.equal(await writeVersion(session, place, { cas, data, signal }), cas + 1);
          assert.equal(
            (await readVersion(session, place, { version: 0, signal }))?.version,
            cas + 1,
          );
        }
      }),
    );
    await session.close();
  });

  test("carries environments with a certificate from their creation to their end, 20 at once", async () => {
    await makePki(active);
    await active.policy("glasshouse", documentedPolicy());
    const env = {
      GLASSHOUSE_VAULT_ADDRESS: standby.url,
      GLASSHOUSE_VAULT_TOKEN: "env:THE_TOKEN",
      THE_TOKEN: await active.token(["glasshouse"], { no_default_policy: true }),
    };
    const site = await Site.open({ env });
    try {
      await site.register(certificateTemplate(site));
      const names = Array.from({ length: 20 }, (_, at) => `of-${at}`);
      const good = async (runs: readonly Promise<RunView>[]) => {
        for (const run of await Promise.all(runs))
          assert.equal(run.status, "succeeded", JSON.stringify(run.failure));
        const issued = await issuedBy(active, (pem) => /CN=of-/u.test(subjectOf(pem)));
        return issued.filter(({ revoked }) => !revoked).length;
      };
      assert.equal(await good(names.map((name) => site.create(name, "tls"))), 20);
      const rotate = async (name: string) =>
        site.settled(await site.ask("POST", `/environments/${name}/rotate`));
      assert.equal(await good(names.map(rotate)), 20);
      assert.equal(await good(names.map((name) => site.destroy(name))), 0);
      assert.equal((await active.send("LIST", "secret/metadata/glasshouse")).status, 404);
    } finally {
      await site.close();
    }
  });

  test("goes on when the active one is killed, and has what that had", async () => {
    const { session } = openSession({ url: standby.url, login: byToken(active.root) });
    const place = { mount: "secret", path: "written/before" };
    await writeVersion(session, place, { cas: 0, data: { value: "before" }, signal });
    await untilVoters();
    await active.kill();
    const found = await untilAnswers(() => readVersion(session, place, { version: 0, signal }));
    assert.equal(found?.data["value"], "before");
    const next = { cas: 1, data: { value: "after" }, signal };
    // Its answer may be lost in the change: then the version is there all the same.
    const version = await untilAnswers(() => writeVersion(session, place, next));
    assert.ok(version === 2 || version === null);
    assert.equal((await readVersion(session, place, { version: 0, signal }))?.version, 2);
    await session.close();
  });
});

function subjectOf(pem: string): string {
  return new X509Certificate(pem).subject;
}

async function untilAnswers<T>(ask: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await sleep(200);
    }
  }
}
