import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { ownedSecretName } from "../domain/secret.ts";
import type { SealedSecret } from "../ports/repositories.ts";
import type { MadeSecret, SecretKeeper, SecretOrder } from "../ports/secrets.ts";

/** What every keeper of declared secrets must do. `open` gives the same store each time, as servers that follow one another do. */
export function testKeeper(open: () => Promise<SecretKeeper>): void {
  test("makes what was asked for, sealed, and opens it again after a restart", async () => {
    const keeper = await open();
    const of = order({ declaration: { length: 20, charset: "hex" } });
    const made = await keeper.make(of);
    const later = await open();
    const plain = await valueOf(later, stored(later, of, made));
    assert.match(plain, /^[0-9a-f]{20}$/u);
    assert.equal(Buffer.from(made.sealed).includes(plain), false);
    assert.equal(made.fingerprint.includes(plain), false);
  });

  test("gives every place and every version a value of its own", async () => {
    const keeper = await open();
    const of = order();
    const first = stored(keeper, of, await keeper.make(of));
    const values = [await valueOf(keeper, first)];
    for (const one of [{ ...of, version: 2, previous: first }, { ...of, name: "other" }, order()])
      values.push(await valueOf(keeper, stored(keeper, one, await keeper.make(one))));
    assert.equal(new Set(values).size, 4);
  });

  test("a version of before can be opened while there is a newer one", async () => {
    const keeper = await open();
    const of = order();
    const first = stored(keeper, of, await keeper.make(of));
    const before = await valueOf(keeper, first);
    await keeper.make({ ...of, version: 2, previous: first });
    assert.equal(await valueOf(keeper, first), before);
  });

  test("takes away what is there, and is content with what is not", async () => {
    const keeper = await open();
    const of = order();
    await keeper.make(of);
    await keeper.remove(of, of.signal);
    await keeper.remove(of, of.signal);
  });
}

function order(more: Partial<SecretOrder> = {}): SecretOrder {
  return {
    environmentId: `env_${randomUUID()}`,
    template: "shop",
    name: "password",
    version: 1,
    previous: null,
    declaration: { length: 32, charset: "alphanumeric" },
    signal: AbortSignal.timeout(30_000),
    ...more,
  };
}

function stored(keeper: SecretKeeper, of: SecretOrder, made: MadeSecret): SealedSecret {
  return {
    ...made,
    id: "sec_1",
    environmentId: of.environmentId,
    name: ownedSecretName({ ...of, kind: "secret" }),
    keeper: keeper.name,
    createdAt: "2026-01-01T00:00:00.000Z",
  };
}

async function valueOf(keeper: SecretKeeper, secret: SealedSecret): Promise<string> {
  return (await keeper.open(secret))["value"] ?? "";
}
