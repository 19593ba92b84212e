import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { GlasshouseError } from "../../../domain/errors.ts";
import { testKeeper } from "../../../testing/keeper-contract.ts";
import { testSealers } from "../../../testing/secrets-contract.ts";
import { defaultKeyFile, embeddedKeeper, openEmbeddedSecrets } from "./index.ts";

const root = await mkdtemp(join(tmpdir(), "glasshouse-secrets-"));
after(() => rm(root, { recursive: true, force: true }));

function open(name: string, mayCreate = true): ReturnType<typeof openEmbeddedSecrets> {
  const directory = join(root, name);
  return openEmbeddedSecrets({ directory, key: defaultKeyFile(directory), mayCreate });
}

function misconfigured(words: RegExp): (error: unknown) => boolean {
  return (error) =>
    error instanceof GlasshouseError &&
    error.code === "invalid-configuration" &&
    words.test(error.message);
}

describe("embedded secrets", () => {
  testSealers(
    () => open("contract"),
    () => open("other"),
  );

  test("keeps its keys in files that only their owner can read, and the data key only wrapped", async () => {
    await open("modes");
    for (const name of ["root.key", "data-key"])
      assert.equal((await stat(join(root, "modes", name))).mode & 0o777, 0o600);
    assert.equal((await stat(join(root, "modes"))).mode & 0o777, 0o700);
  });

  test("refuses a key file that others may read and says how to mend it", async () => {
    await open("readable");
    await chmod(join(root, "readable/root.key"), 0o640);
    await assert.rejects(open("readable"), misconfigured(/mode 640.*chmod 600/u));
  });

  test("makes no new key when the key file of existing data is missing", async () => {
    await open("lost");
    await rm(join(root, "lost/root.key"));
    await assert.rejects(open("lost"), misconfigured(/root\.key is missing.*existing data/u));
    await assert.rejects(stat(join(root, "lost/root.key")));
  });

  test("makes no new data key when there is data already", async () => {
    await open("lost-data-key");
    await rm(join(root, "lost-data-key/data-key"));
    await assert.rejects(open("lost-data-key", false), misconfigured(/data-key is missing/u));
    await assert.rejects(open("never-there", false), misconfigured(/is missing/u));
  });

  test("refuses a key file that belongs to other data", async () => {
    await open("mine");
    await open("theirs");
    await writeFile(join(root, "mine/root.key"), await readFile(join(root, "theirs/root.key")));
    await assert.rejects(open("mine"), misconfigured(/does not belong to this data/u));
  });

  test("refuses a key file without a key", async () => {
    const directory = join(root, "short");
    const keyFile = join(root, "short.key");
    await writeFile(keyFile, "short", { mode: 0o600 });
    const opening = openEmbeddedSecrets({ directory, key: keyFile, mayCreate: true });
    await assert.rejects(opening, misconfigured(/5 bytes/u));
    await assert.rejects(stat(join(directory, "data-key")));
  });

  test("goes over to another key file at one start, and back, and opens the same", async () => {
    const directory = join(root, "moving");
    const [old, next] = [defaultKeyFile(directory), join(root, "next.key")];
    const sealed = (await open("moving")).seal("plain", "owner");
    const said: string[] = [];
    const changed = (what: string): void => void said.push(what);
    const moved = { directory, key: next, previousKey: old, mayCreate: false, changed };
    for (let times = 0; times < 2; times += 1) {
      const sealer = await openEmbeddedSecrets(moved);
      assert.equal(sealer.open(sealed, "owner"), "plain");
    }
    assert.deepEqual(said.length, 1, said.join());
    await assert.rejects(open("moving"), misconfigured(/does not belong to this data/u));
    const back = await openEmbeddedSecrets({ ...moved, key: old, previousKey: next });
    assert.equal(back.open(sealed, "owner"), "plain");
    assert.equal((await open("moving")).open(sealed, "owner"), "plain");
  });

  test("says what wraps the key when another kind is named", async () => {
    await open("vaulted");
    await writeFile(join(root, "vaulted/data-key"), "vault:v1:AAAA\n");
    await assert.rejects(open("vaulted"), misconfigured(/wrapped by a key of Vault.*previousKey/u));
  });

  test("gives servers that start at once the same key", async () => {
    const [one, ...more] = await Promise.all(Array.from({ length: 5 }, () => open("race")));
    for (const sealer of more) assert.equal(sealer.fingerprint("x"), one?.fingerprint("x"));
  });
});

describe("the embedded keeper", () => {
  testKeeper(async () => embeddedKeeper(await open("keeper")));

  test("says that what only Vault can make or has needs one", async () => {
    const keeper = embeddedKeeper(await open("keeper"));
    const from = { mount: "secret", path: "a", field: "b" };
    const place = { environmentId: "env_1", template: "t", name: "n" };
    const signal = new AbortController().signal;
    const made = { length: 32, charset: "hex" } as const;
    for (const declaration of [
      { ...made, policy: "p" },
      { ...made, from },
    ]) {
      const order = { ...place, version: 1, previous: null, declaration, signal };
      await assert.rejects(keeper.make(order), /this server has none: set vault\.address/u);
    }
  });
});
