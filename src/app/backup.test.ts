import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { FileBlobs } from "../adapters/blobs/files/index.ts";
import { SystemClock } from "../adapters/clock/system/index.ts";
import { defaultKeyFile, openEmbeddedSecrets } from "../adapters/secrets/embedded/index.ts";
import { createSqliteStore } from "../adapters/stores/sqlite/index.ts";
import { createLog } from "../adapters/telemetry/lines/index.ts";
import { configSchema, type Config } from "../contract/config.ts";
import { isError } from "../testing/source-contract.ts";
import { restoreBackup, writeBackup } from "./backup.ts";

const root = await mkdtemp(join(tmpdir(), "glasshouse-backup-"));
after(() => rm(root, { recursive: true, force: true }));
const log = createLog({ level: "silent", format: "json" });
const now = new Date(0);

async function open(config: Config) {
  const keys = join(config.data, "keys");
  const store = await createSqliteStore({ directory: config.data, clock: new SystemClock(), log });
  const keyFile = config.security.key ?? defaultKeyFile(keys);
  const sealer = await openEmbeddedSecrets({ directory: keys, key: keyFile, mayCreate: true });
  return { store, sealer, blobs: await FileBlobs.open(join(config.data, "blobs"), sealer) };
}

let count = 0;
function newConfig(security: Partial<Config["security"]> = {}): Config {
  count += 1;
  const config = configSchema.parse({ data: join(root, `data${count}`) });
  return { ...config, security: { ...config.security, ...security } };
}

async function append(store: Awaited<ReturnType<typeof open>>["store"], subject: string) {
  await store.transact(async (tx) => {
    await tx.audits.append({
      id: new SystemClock().id("event"),
      time: now.toISOString(),
      actor: "test",
      action: "test",
      subject,
      commandId: null,
      detail: null,
    });
  });
}

describe("a backup", () => {
  test("taken while the store is open holds rows, blobs and keys, and is restored in one step", async () => {
    const config = newConfig();
    const parts = await open(config);
    await append(parts.store, "kept");
    const plain = await parts.blobs.put(Buffer.from("plain"));
    const sealed = await parts.blobs.putSealed(Buffer.from("sealed"));
    const target = join(root, "backup1");
    assert.deepEqual(await writeBackup(config, target, now), {
      directory: target,
      blobs: 2,
      hasKey: true,
    });
    await append(parts.store, "later");
    await parts.store.close();

    const other = newConfig();
    await restoreBackup(other, target);
    const again = await open(other);
    const { items } = await again.store.read((tx) => tx.audits.list({ limit: 10, cursor: null }));
    assert.deepEqual(
      items.map((entry) => entry.subject),
      ["kept"],
    );
    assert.equal(Buffer.from(await again.blobs.get(plain)).toString(), "plain");
    assert.equal(Buffer.from(await again.blobs.get(sealed)).toString(), "sealed");
    await again.store.close();
  });

  test("leaves a key file that lies elsewhere where it is", async () => {
    const config = newConfig({ key: join(root, "elsewhere.key") });
    const parts = await open(config);
    const target = join(root, "backup2");
    assert.equal((await writeBackup(config, target, now)).hasKey, false);
    await parts.store.close();
    const other = newConfig({ key: join(root, "elsewhere.key") });
    assert.equal((await restoreBackup(other, target)).hasKey, false);
    const again = await open(other);
    assert.equal(again.sealer.fingerprint("x"), parts.sealer.fingerprint("x"));
    await again.store.close();
  });

  test("is refused without data, into the data, and over something", async () => {
    const config = newConfig();
    await assert.rejects(
      writeBackup(config, join(root, "b"), now),
      isError("not-found", /no data/u),
    );
    await (await open(config)).store.close();
    await assert.rejects(
      writeBackup(config, join(config.data, "b"), now),
      isError("conflict", /inside/u),
    );
    await assert.rejects(writeBackup(config, root, now), isError("conflict", /not empty/u));
  });

  test("is not restored over data, when it is not complete, or when it is damaged", async () => {
    const config = newConfig();
    await (await open(config)).store.close();
    const target = join(root, "backup3");
    await writeBackup(config, target, now);
    await assert.rejects(restoreBackup(config, target), isError("conflict", /There is data/u));
    await assert.rejects(restoreBackup(newConfig(), root), isError("not-found", /no complete/u));
    await writeFile(join(target, "glasshouse.db"), "damaged");
    await assert.rejects(restoreBackup(newConfig(), target), isError("internal", /damaged/u));
  });
});
