import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  defaultKeyFile,
  openEmbeddedSecrets,
} from "../../../src/adapters/secrets/embedded/index.ts";
import { vaultKeeper } from "../../../src/adapters/secrets/vault/index.ts";
import { GlasshouseError } from "../../../src/domain/errors.ts";
import { sealContext } from "../../../src/domain/value.ts";
import type { SealedSecret } from "../../../src/ports/repositories.ts";
import type {
  MadeSecret,
  SecretKeeper,
  SecretOrder,
  SecretSealer,
} from "../../../src/ports/secrets.ts";
import { testKeeper } from "../../../src/testing/keeper-contract.ts";
import { Vault } from "../../support/vault.ts";
import { vaultSkip } from "../../support/vault-program.ts";
import { byToken, openSession } from "../../support/vault-session.ts";

describe("the keeper in Vault", { skip: vaultSkip }, () => {
  let vault: Vault;
  let sealer: SecretSealer;
  before(async () => {
    vault = await Vault.start();
    const directory = join(vault.directory, "keys");
    const keyFile = defaultKeyFile(directory);
    sealer = await openEmbeddedSecrets({ directory, key: keyFile, mayCreate: true });
  });
  after(() => vault.close());

  const shared = ["secret/shared/*"];
  const open = (token = vault.root): SecretKeeper => {
    const { session } = openSession({ url: vault.url, login: byToken(token) });
    return vaultKeeper({ session, sealer, mount: "secret", prefix: "glasshouse", shared });
  };

  testKeeper(async () => open());

  const order: SecretOrder = {
    environmentId: "env_1",
    template: "shop",
    name: "password",
    version: 1,
    previous: null,
    declaration: { length: 32, charset: "alphanumeric" },
    signal: new AbortController().signal,
  };
  const locator = (environment: string, sealed: Uint8Array): unknown =>
    JSON.parse(sealer.open(sealed, sealContext(environment, "secret/shop/password")));

  test("finds what a try has written that never heard of it, and writes no second version", async () => {
    const first = await open().make(order);
    const again = await open().make(order);
    assert.deepEqual(locator("env_1", again.sealed), locator("env_1", first.sealed));
    assert.equal(again.fingerprint, first.fingerprint);
    const { body } = await vault.send("GET", "secret/metadata/glasshouse/env_1/shop/password");
    assert.match(JSON.stringify(body), /"current_version":1/u);
    assert.match(JSON.stringify(body), /"custom_metadata":\{[^}]*"owner":"glasshouse"/u);
  });

  test("writes nothing over what somebody else has put there", async () => {
    const of = { ...order, environmentId: "env_2" };
    await vault.request("POST", path("env_2"), { data: { value: "foreign" } });
    await assert.rejects(open().make(of), (error) => {
      assert.ok(error instanceof GlasshouseError);
      assert.equal(error.code, "conflict");
      return /changed by somebody else/u.test(error.message);
    });
    const { body } = await vault.send("GET", path("env_2"));
    assert.match(JSON.stringify(body), /"value":"foreign"/u);
  });

  test("waits while its policy denies it, and says which path", async () => {
    await vault.policy("nothing", 'path "secret/data/other/*" { capabilities = ["read"] }');
    const token = await vault.token(["nothing"]);
    const of = { ...order, environmentId: "env_3" };
    await assert.rejects(open(token).make(of), (error) => {
      assert.ok(error instanceof GlasshouseError);
      assert.equal(error.code, "unavailable");
      return /denies this: .*glasshouse\/env_3.*policy/su.test(error.message);
    });
  });

  test("lets a password policy of Vault make the value", async () => {
    const rules = 'length=24 rule "charset" { charset = "xyz" }';
    await vault.request("PUT", "sys/policies/password/strong", { policy: rules });
    const declaration = { ...order.declaration, policy: "strong" };
    const of = { ...order, environmentId: "env_5", declaration };
    const keeper = open();
    const made = keep(keeper, of, await keeper.make(of));
    assert.match(await valueOf(keeper, made), /^[xyz]{24}$/u);
    const missing = { ...of, name: "other", declaration: { ...declaration, policy: "none" } };
    await assert.rejects(keeper.make(missing), /404|none/u);
  });

  test("takes a value that is shared, pins its version, and leaves it alone at the end", async () => {
    const from = { mount: "secret", path: "shared/mail", field: "key" };
    const of = { ...order, environmentId: "env_6", declaration: { ...order.declaration, from } };
    const keeper = open();
    await assert.rejects(keeper.make(of), /no text key: work waits/u);
    await vault.request("POST", "secret/data/shared/mail", { data: { key: "first" } });
    const made = keep(keeper, of, await keeper.make(of));
    await vault.request("POST", "secret/data/shared/mail", { data: { key: "second" } });
    assert.equal(await valueOf(keeper, made), "first");
    const rotated = await keeper.make({ ...of, version: 2, previous: made });
    assert.equal(await valueOf(keeper, keep(keeper, of, rotated)), "second");
    assert.notEqual(rotated.fingerprint, made.fingerprint);
    await keeper.remove(of, of.signal);
    assert.equal(await valueOf(keeper, made), "first");
  });

  test("refuses a value that the operator does not share, and does not wait", async () => {
    const from = { mount: "secret", path: "sharedness/mail", field: "key" };
    const of = { ...order, environmentId: "env_7", declaration: { ...order.declaration, from } };
    await assert.rejects(open().make(of), (error) => {
      assert.ok(error instanceof GlasshouseError);
      assert.equal(error.code, "forbidden");
      return /vault\.shared/u.test(error.message);
    });
  });

  test("says that it is sealed, and goes on when it is not", async () => {
    const of = { ...order, environmentId: "env_4" };
    const keeper = open();
    await vault.seal();
    await assert.rejects(keeper.make(of), /is sealed/u);
    await vault.unseal();
    await keeper.make(of);
  });
});

function path(environment: string): string {
  return `secret/data/glasshouse/${environment}/shop/password`;
}

function keep(keeper: SecretKeeper, of: SecretOrder, made: MadeSecret): SealedSecret {
  return {
    ...made,
    id: "sec_1",
    environmentId: of.environmentId,
    name: "secret/shop/password",
    keeper: keeper.name,
    createdAt: "2026-01-01T00:00:00.000Z",
  };
}

async function valueOf(keeper: SecretKeeper, secret: SealedSecret): Promise<string> {
  return (await keeper.open(secret))["value"] ?? "";
}
