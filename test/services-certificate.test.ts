import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { OwnedSecret } from "../src/domain/secret.ts";
import type { EngineDeps } from "../src/engine/deps.ts";
import { Engine } from "../src/engine/engine.ts";
import { fakeExecutor, type FakeExecutor } from "../src/testing/fake-executor.ts";
import { createServiceWorld, type ServiceWorld } from "./support/services.ts";

const yaml = `apiVersion: glasshouse/v1
kind: Template
name: shop
version: 1.0.0
certificates:
  tls: { role: web, commonName: "\${{ groups.host.outputs.name }}.example.com", ttl: 30d, renewBefore: 10d }
groups:
  host: { executor: command, with: {}, outputs: [name] }
  web: { executor: command, with: { key: "\${{ certificates.tls.key }}" } }
  user: { executor: command, dependsOn: [web], with: {} }
outputs: { ca: "\${{ certificates.tls.ca }}" }
`;
const dependent = `apiVersion: glasshouse/v1
kind: Template
name: client
version: 1.0.0
requires: { shop: { environment: renewed, outputs: [ca] } }
groups:
  client: { executor: command, with: { ca: "\${{ requires.shop.outputs.ca }}" } }
`;

type Request = Parameters<EngineDeps["requestRotation"]>[0];

describe("renewing certificates", () => {
  let w: ServiceWorld;
  let engine: Engine;
  let executor: FakeExecutor;
  before(async () => {
    executor = fakeExecutor({ outputs: () => ({ name: "web" }) });
    w = await createServiceWorld({ executors: [executor] });
    await w.register(yaml);
    await w.register(dependent);
    engine = new Engine({ ...w.deps, requestRotation: async () => undefined });
    await engine.start();
  });
  after(async () => {
    await engine.stop();
    await w.close();
  });

  async function owned(name: string): Promise<OwnedSecret> {
    const { id } = await w.named(name);
    const [one] = await w.store.read((tx) => tx.ownedSecrets.ofEnvironment(id));
    assert.ok(one !== undefined);
    return one;
  }
  const revoked = () =>
    w.store.read(async (tx) =>
      (await tx.certificates.revoked(await tx.time())).map((one) => one.serial),
    );

  /** What is asked for as if so much of its time were over. */
  async function requests(name: string): Promise<readonly Request[]> {
    const row = await owned(name);
    await w.store.transact((tx) =>
      tx.ownedSecrets.put({ ...row, rotateAt: "2020-01-01T00:00:00.000Z" }),
    );
    const asked: Request[] = [];
    const requestRotation = async (request: Request) => void asked.push(request);
    // One process a store: the engine makes room for one that looks for the first time.
    await engine.stop();
    const looking = new Engine({ ...w.deps, requestRotation });
    await looking.tick();
    await looking.stop();
    engine = new Engine({ ...w.deps, requestRotation: async () => undefined });
    await engine.start();
    return asked;
  }

  test("is due when it has as little time left as its template says", async () => {
    const created = await w.send("environment.create", "renewed", { template: "shop" });
    assert.equal((await w.ended(created.runId ?? "")).status, "succeeded");
    const { rotateAt, certificate, keeper, version } = await owned("renewed");
    assert.ok(certificate !== null);
    assert.equal(Date.parse(certificate.notAfter) - Date.parse(rotateAt ?? ""), 10 * 86_400_000);
    assert.deepEqual([keeper, version], ["embedded", 1]);
    assert.equal(certificate.asked.commonName, "web.example.com");
  });

  test("issues another one then, runs what uses it again and nothing else, and revokes the one before", async () => {
    const earlier = await owned("renewed");
    const applied = executor.order("apply").length;
    const [request] = await requests("renewed");
    assert.ok(request !== undefined);
    const { environmentId, secret, key: id } = request;
    const command = await w.send(
      "environment.rotate",
      environmentId,
      { secrets: [secret] },
      { id },
    );
    assert.equal((await w.ended(command.runId ?? "")).status, "succeeded");
    const later = await owned("renewed");
    assert.equal(later.version, 2);
    assert.ok(Date.parse(later.rotateAt ?? "") > Date.now());
    assert.deepEqual(executor.order("apply").slice(applied), ["web"]);
    assert.deepEqual(await revoked(), [earlier.certificate?.serial]);
    assert.deepEqual(later.certificate?.earlier, []);
  });

  test("is asked for once an hour for a version, should that come to nothing", async () => {
    const [[first], [again]] = [await requests("renewed"), await requests("renewed")];
    assert.equal(first?.key, again?.key);
    assert.match(first?.key ?? "", /:shop\/tls:2:\d{4}-\d\d-\d\dT\d\d$/u);
  });

  test("leaves the one before good while another environment may have been handed it", async () => {
    const client = await w.send("environment.create", "client", { template: "client" });
    assert.equal((await w.ended(client.runId ?? "")).status, "succeeded");
    const earlier = await owned("renewed");
    const rotate = await w.send("environment.rotate", "renewed", {});
    assert.equal((await w.ended(rotate.runId ?? "")).status, "succeeded");
    assert.ok(!(await revoked()).includes(earlier.certificate?.serial ?? ""));
    assert.equal((await w.named("client")).outdated, true);
    assert.deepEqual(
      (await owned("renewed")).certificate?.earlier.map(({ serial }) => serial),
      [earlier.certificate?.serial],
    );
    const gone = await w.send("environment.destroy", "client", {});
    assert.equal((await w.ended(gone.runId ?? "")).status, "succeeded");
    const update = await w.send("environment.update", "renewed", {});
    assert.equal((await w.ended(update.runId ?? "")).status, "succeeded");
    assert.ok((await revoked()).includes(earlier.certificate?.serial ?? ""));
  });

  test("a plan made before is stale after a renewal", async () => {
    const plan = await w.send("environment.plan", "renewed", {});
    assert.equal((await w.ended(plan.runId ?? "")).status, "succeeded");
    const rotate = await w.send("environment.rotate", "renewed", { secrets: ["tls"] });
    assert.equal((await w.ended(rotate.runId ?? "")).status, "succeeded");
    const apply = await w.send("environment.apply", "renewed", { plan: plan.planId }).then(
      async (command) => (await w.ended(command.runId ?? "")).failure?.code,
      (error: unknown) => (error instanceof Error && "code" in error ? error.code : error),
    );
    assert.equal(apply, "plan-stale");
  });

  test("a destroy revokes all of it", async () => {
    const { certificate } = await owned("renewed");
    const gone = await w.send("environment.destroy", "renewed", {});
    assert.equal((await w.ended(gone.runId ?? "")).status, "succeeded");
    assert.ok((await revoked()).includes(certificate?.serial ?? ""));
  });
});
