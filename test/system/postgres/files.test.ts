import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { PostgresBlobs } from "../../../src/adapters/blobs/postgres/index.ts";
import { openSharedSecrets } from "../../../src/adapters/secrets/embedded/index.ts";
import { sharedDataKey, type PostgresStore } from "../../../src/adapters/stores/postgres/index.ts";
import { testBlobs } from "../../../src/testing/blob-contract.ts";
import { FakeClock } from "../../../src/testing/fake-clock.ts";
import { withCode } from "../../../src/testing/store-contract-data.ts";
import { StoreServer } from "../../support/postgres-store.ts";
import { postgresSkip } from "../../support/postgres.ts";

describe("blobs and the key in PostgreSQL", { skip: postgresSkip }, () => {
  const clock = new FakeClock();
  let stores: StoreServer;
  let directory: string;
  const opened: PostgresStore[] = [];
  before(async () => {
    stores = await StoreServer.start(clock);
    directory = await mkdtemp(join(tmpdir(), "glasshouse-key-"));
  });
  after(async () => {
    await Promise.all(opened.map((store) => store.close()));
    await stores.server.remove();
    await rm(directory, { recursive: true });
  });

  async function openStore(database: string): Promise<PostgresStore> {
    const store = await stores.open(database, { clock });
    opened.push(store);
    return store;
  }

  async function keyFile(name: string, text = `${name}${"k".repeat(40)}`): Promise<string> {
    const file = join(directory, name);
    await writeFile(file, text, { mode: 0o600 });
    return file;
  }

  async function openBlobs(database: string): Promise<PostgresBlobs> {
    const { files } = await openStore(database);
    const key = await keyFile("blobs");
    return new PostgresBlobs(files, await openSharedSecrets({ key: key }, sharedDataKey(files)));
  }

  const places = new Map<object, string>();
  testBlobs({
    open: async () => {
      const database = await stores.database();
      const blobs = await openBlobs(database);
      places.set(blobs, database);
      return blobs;
    },
    reopen: (blobs) => openBlobs(places.get(blobs) ?? ""),
  });

  it("are read by one replica as another put them, and say so when they were changed", async () => {
    const database = await stores.database();
    const [one, two] = [await openBlobs(database), await openBlobs(database)];
    const bytes = Buffer.alloc(300_000, "state ");
    const [plain, sealed] = [await one.put(bytes), await one.putSealed(bytes)];
    for (const digest of [plain, sealed])
      assert.deepEqual(Buffer.from(await two.get(digest)), bytes);
    const rows = await stores.server.query(
      `select position('state'::bytea in "content") as "found" from "blob" where "isSealed"`,
      database,
    );
    assert.deepEqual(rows, [{ found: 0 }]);
    await stores.server.query(
      `update "blob" set "content" = set_byte("content", 40, (get_byte("content", 40) + 1) % 256)`,
      database,
    );
    for (const digest of [plain, sealed]) await assert.rejects(two.get(digest), /damaged/u);
  });

  it("are opened by every replica with the same key file, whichever came first", async () => {
    const database = await stores.database();
    const file = await keyFile("same");
    const sealers = await Promise.all(
      Array.from({ length: 5 }, async () =>
        openSharedSecrets({ key: file }, sharedDataKey((await openStore(database)).files)),
      ),
    );
    const sealed = sealers[0]?.seal("plain", "owner");
    assert.ok(sealed);
    for (const sealer of sealers) assert.equal(sealer.open(sealed, "owner"), "plain");
  });

  it("are not opened with another key file, one that is missing or open to others, or none", async () => {
    const { files } = await openStore(await stores.database());
    const shared = sharedDataKey(files);
    await openSharedSecrets({ key: await keyFile("right") }, shared);
    const refused = async (file: string | undefined, words: RegExp): Promise<void> => {
      await assert.rejects(openSharedSecrets({ key: file }, shared), (error) => {
        assert.match(String(error), words);
        return withCode("invalid-configuration")(error);
      });
    };
    await refused(await keyFile("wrong"), /does not belong to this data.*security\.key/u);
    await refused(join(directory, "none"), /no key file .*copy it from another replica/u);
    await refused(undefined, /security\.key must name a key file.*openssl rand/u);
    const readable = await keyFile("readable");
    await chmod(readable, 0o644);
    await refused(readable, /chmod 600/u);
  });
});
