import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readdirSync, statSync, writeSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { FakeClock } from "../../../testing/fake-clock.ts";
import { anEnvironment, withCode } from "../../../testing/store-contract-data.ts";
import { migrations } from "../sql/migrations.ts";
import { mountType, networkName } from "./file-system.ts";
import { entry, inDirectory, open, withStore } from "./store.fixture.ts";

describe("migrations", () => {
  const newest = migrations.at(-1)?.version ?? 0;
  const newer = {
    version: newest + 1,
    name: "more",
    statements: () => [`create table "more" ("a" integer)`],
  };

  it("are backed up before, and a program that knows less refuses the result", async () => {
    await inDirectory(async (directory) => {
      await fill(directory);
      const changed = [...migrations, newer];
      await (await open({ directory, migrations: changed })).close();
      const [backup] = readdirSync(join(directory, "backups"));
      assert.ok(backup);
      const copy = new DatabaseSync(join(directory, "backups", backup), { readOnly: true });
      assert.equal(copy.prepare(`select count(*) as n from "audit"`).get()?.["n"], 1);
      assert.equal(
        copy.prepare(`select max("version") as n from "schemaVersion"`).get()?.["n"],
        newest,
      );
      copy.close();
      await assert.rejects(open({ directory }), (error) => {
        const words = `schema ${newest + 1}, and this program knows schemas up to ${newest}.`;
        assert.ok(String(error).includes(words), String(error));
        return withCode("conflict")(error);
      });
      // The refusal has freed the lock.
      await (await open({ directory, migrations: changed })).close();
    });
  });

  it("that leave what was there are worked with by the program of before, which changes nothing", async () => {
    await inDirectory(async (directory) => {
      await fill(directory);
      const later = { ...newer, oldest: newest };
      const last = { ...newer, version: newest + 2, statements: () => [], oldest: newest + 1 };
      await (await open({ directory, migrations: [...migrations, later] })).close();
      const older = await open({ directory });
      await older.transact((tx) => tx.audits.append(entry(2)));
      await older.close();
      await (await open({ directory, migrations: [...migrations, later, last] })).close();
      await assert.rejects(open({ directory }), withCode("conflict"));
      await (await open({ directory, migrations: [...migrations, later] })).close();
    });
  });

  it("keep the last three backups", async () => {
    await inDirectory(async (directory) => {
      await fill(directory);
      const clock = new FakeClock();
      for (let more = 1; more <= 5; more += 1) {
        clock.advance(1_000);
        const added = Array.from({ length: more }, (_none, n) => ({
          ...newer,
          version: newest + 1 + n,
          statements: () => [`create table "more${n}" ("a" integer)`],
        }));
        await (await open({ directory, clock, migrations: [...migrations, ...added] })).close();
      }
      assert.equal(readdirSync(join(directory, "backups")).length, 3);
    });
  });

  it("leave nothing behind when one fails", async () => {
    await inDirectory(async (directory) => {
      await fill(directory);
      const broken = {
        ...newer,
        statements: () => [`create table "more" ("a" integer)`, "nonsense"],
      };
      await assert.rejects(open({ directory, migrations: [...migrations, broken] }));
      const store = await open({ directory, migrations: [...migrations, newer] });
      await store.close();
    });
  });
});

describe("damage", () => {
  it("turns the store read-only and health says so; an undamaged file stays up", async () => {
    await inDirectory(async (directory) => {
      await fill(directory, 2_000);
      const sound = await open({ directory, examineAfterMs: 0 });
      await sound.examined;
      assert.equal((await sound.health()).status, "up");
      await sound.close();
      overwrite(join(directory, "glasshouse.db"));
      const store = await open({ directory, examineAfterMs: 0 });
      await store.examined;
      const health = await store.health();
      assert.equal(health.status, "read-only");
      assert.match(health.detail, /damaged/u);
      await assert.rejects(
        store.transact((tx) => tx.audits.append(entry(1))),
        withCode("unavailable"),
      );
      await store.read((tx) => tx.events.head());
      await store.close();
    });
  });

  it("of the whole file is refused at the start in words", async () => {
    await inDirectory(async (directory) => {
      const file = openSync(join(directory, "glasshouse.db"), "w");
      writeSync(file, "this is not a database, and it is long enough to be looked at ".repeat(100));
      closeSync(file);
      await assert.rejects(open({ directory }), withCode("unavailable"));
    });
  });
});

describe("a backup", () => {
  it("holds every transaction that has resolved, and replaces the file whole", async () => {
    await inDirectory(async (directory) => {
      const store = await open({ directory });
      const environment = anEnvironment(new FakeClock());
      await store.transact((tx) => tx.environments.insert(environment));
      const target = join(directory, "copy");
      await mkdir(target);
      for (let n = 0; n < 2; n += 1) await store.backup(join(target, "glasshouse.db"));
      await store.close();
      assert.deepEqual(readdirSync(target), ["glasshouse.db"]);
      const restored = await open({ directory: target });
      const found = await restored.read((tx) => tx.environments.get(environment.id));
      assert.deepEqual(found, environment);
      await restored.close();
    });
  });

  it("fails in words where it cannot be written", async () => {
    await withStore({}, (store) =>
      assert.rejects(store.backup("/proc/none/glasshouse.db"), withCode("internal")),
    );
  });
});

describe("a full disk", () => {
  it("refuses writes, keeps reads and goes on when there is room", { skip: noRoom() }, async () => {
    await inDirectory(async (directory) => {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "none", directory]);
      try {
        const store = await open({ directory });
        await store.transact((tx) => tx.audits.append(entry(0)));
        const filler = join(directory, "filler");
        fillUp(filler);
        let kept = 1;
        const text = "x".repeat(20_000);
        const write = async (): Promise<void> => {
          for (;;) {
            await store.transact((tx) => tx.audits.append({ ...entry(kept), detail: text }));
            kept += 1;
          }
        };
        await assert.rejects(write(), withCode("storage-full"));
        await assert.rejects(write(), withCode("storage-full"));
        const count = async () =>
          (await store.read((tx) => tx.audits.list({ limit: 1_000, cursor: null }))).items.length;
        assert.equal(await count(), kept);
        assert.equal((await store.health()).status, "up");
        await rm(filler);
        await store.transact((tx) => tx.audits.append(entry(1)));
        assert.equal(await count(), kept + 1);
        await store.close();
      } finally {
        execFileSync("umount", [directory]);
      }
    });
  });
});

describe("the kind of file system", () => {
  it("is refused when it goes over a network, also behind FUSE, and not otherwise", () => {
    const fuse = 0x65735546;
    assert.equal(
      networkName(0x6969, () => null),
      "nfs",
    );
    assert.equal(
      networkName(0xff534d42, () => null),
      "cifs",
    );
    assert.equal(
      networkName(0xef53, () => null),
      null,
    );
    assert.equal(
      networkName(fuse, () => "fuse.sshfs"),
      "fuse.sshfs",
    );
    assert.equal(
      networkName(fuse, () => "fuse.virtiofs"),
      null,
    );
    assert.equal(
      networkName(fuse, () => null),
      null,
    );
  });

  it("is that of the deepest mount a path lies on", () => {
    const mounts = [
      "22 1 8:1 / / rw - ext4 /dev/sda1 rw",
      "23 22 0:40 / /data rw - fuse.sshfs host:/ rw",
      String.raw`24 23 0:41 / /data/with\040space rw shared:1 - tmpfs none rw`,
    ].join("\n");
    assert.equal(mountType(mounts, "/database"), "ext4");
    assert.equal(mountType(mounts, "/data"), "fuse.sshfs");
    assert.equal(mountType(mounts, "/data/x"), "fuse.sshfs");
    assert.equal(mountType(mounts, "/data/with space/x"), "tmpfs");
  });
});

async function fill(directory: string, entries = 1): Promise<void> {
  const store = await open({ directory });
  await store.transact(async (tx) => {
    for (let n = 0; n < entries; n += 1) await tx.audits.append(entry(n));
  });
  await store.close();
}

/** Puts nonsense over the last pages of the file: rows, not the schema. */
function overwrite(file: string): void {
  const descriptor = openSync(file, "r+");
  const nonsense = new Uint8Array(4_096 * 4).fill(0x5a);
  writeSync(descriptor, nonsense, 0, nonsense.length, statSync(file).size - nonsense.length);
  closeSync(descriptor);
}

/** Takes all the room that is left on the file's disk. */
function fillUp(file: string): void {
  const descriptor = openSync(file, "w");
  const block = new Uint8Array(4_096).fill(1);
  try {
    for (;;) writeSync(descriptor, block);
  } catch {
    // The disk is full, as wanted.
  } finally {
    closeSync(descriptor);
  }
}

/** Why the test of a full disk cannot run here, or false. */
function noRoom(): string | false {
  if (process.platform !== "linux" || process.getuid?.() !== 0)
    return "needs root to mount a tmpfs";
  try {
    execFileSync("mount", ["--version"]);
    return false;
  } catch {
    return "needs mount(8)";
  }
}
