import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readdirSync, statSync, writeSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, it } from "node:test";
import { FakeClock } from "../../../testing/fake-clock.ts";
import { anEnvironment, withCode } from "../../../testing/store-contract-data.ts";
import { migrations } from "../sql/migrations.ts";
import { mountType, networkName } from "./file-system.ts";
import { createSqliteStore } from "./index.ts";
import type { SqliteStore, SqliteStoreOptions } from "./index.ts";
import { silentLog } from "./store.fixture.ts";

describe("shared commits", () => {
  it("let 64 transactions at once use a tenth of a commit each, and each of them is kept", async () => {
    let commits = 0;
    await withStore(
      { onCommit: (_n, phase) => void (phase === "after" && (commits += 1)) },
      async (store) => {
        const before = commits;
        const clients = Array.from({ length: 64 }, async () => {
          for (let n = 0; n < 10; n += 1) await store.transact((tx) => tx.audits.append(entry(n)));
        });
        await Promise.all(clients);
        assert.ok(commits - before <= 64, `${commits - before} commits for 640 transactions`);
        const page = await store.read((tx) => tx.audits.list({ limit: 1_000, cursor: null }));
        assert.equal(page.items.length, 640);
      },
    );
  });

  it("tell the test hook of every commit before and after, counted from 1", async () => {
    const seen: string[] = [];
    await withStore({ onCommit: (n, phase) => void seen.push(`${n} ${phase}`) }, async (store) => {
      await store.transact((tx) => tx.audits.append(entry(1)));
      await store.transact((tx) => tx.audits.append(entry(2)));
    });
    assert.deepEqual(seen, ["1 before", "1 after", "2 before", "2 after"]);
  });

  it("end a transaction that awaits something else, and go on", async () => {
    await withStore({ limits: { idleMs: 50 } }, async (store) => {
      const stuck = store.transact(async (tx) => {
        await tx.audits.append(entry(1));
        await new Promise(() => {});
      });
      const next = store.transact((tx) => tx.audits.append(entry(2)));
      await assert.rejects(stuck, withCode("internal"));
      await next;
      const page = await store.read((tx) => tx.audits.list({ limit: 10, cursor: null }));
      assert.deepEqual(
        page.items.map(({ detail }) => detail),
        [2],
      );
    });
  });
});

describe("the query builder", () => {
  it("is loaded by the first that asks for it, which runs again from its begin and keeps its turn", async () => {
    await withStore({}, async (store) => {
      let begun = 0;
      const first = store.transact(async (tx) => {
        begun += 1;
        await tx.environments.update("none", { reason: "kept statements are not held up" });
        await tx.audits.append(entry(1));
      });
      const second = store.transact((tx) => tx.audits.append(entry(2)));
      await Promise.all([first, second]);
      assert.equal(begun, 2);
      assert.deepEqual(await details(store), [2, 1], "newest first");
    });
  });

  it("leaves nothing of a transaction that asked too early and caught the error", async () => {
    await withStore({}, async (store) => {
      const answers = await store.transact(async (tx) => {
        const answer = await tx.audits.append(entry(1)).then(
          () => "appended",
          () => "not appended",
        );
        return [answer];
      });
      assert.deepEqual(answers, ["appended"]);
      assert.deepEqual(await details(store), [1]);
    });
  });

  it("is loaded by a read too", async () => {
    await withStore({}, async (store) => assert.deepEqual(await details(store), []));
  });
});

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
      await fill(directory, 500);
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

async function details(store: SqliteStore): Promise<readonly unknown[]> {
  const page = await store.read((tx) => tx.audits.list({ limit: 100, cursor: null }));
  return page.items.map(({ detail }) => detail);
}

function entry(n: number) {
  const plain = { time: "", actor: "a", action: "b", subject: "c", commandId: null };
  return { ...plain, id: `a${n}`, detail: n };
}

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

function open(options: Partial<SqliteStoreOptions> & { readonly directory: string }) {
  return createSqliteStore({ clock: new FakeClock(), log: silentLog, ...options });
}

async function withStore(
  options: Partial<SqliteStoreOptions>,
  fn: (store: SqliteStore) => Promise<void>,
): Promise<void> {
  await inDirectory(async (directory) => {
    const store = await open({ ...options, directory });
    try {
      await fn(store);
    } finally {
      await store.close();
    }
  });
}

async function inDirectory(fn: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "glasshouse-sqlite-"));
  try {
    await fn(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
