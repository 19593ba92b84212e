import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { withCode } from "../../../testing/store-contract-data.ts";
import type { SqliteStore } from "./index.ts";
import { entry, withStore } from "./store.fixture.ts";

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

  it("wake half of those who wait while the other half is worked off", async () => {
    let commits = 0;
    await withStore(
      {
        limits: { openMs: 60_000 },
        onCommit: (_n, phase) => void (phase === "after" && (commits += 1)),
      },
      async (store) => {
        await store.transact((tx) => tx.audits.append(entry(0)));
        const begun = performance.now();
        await store.transact((tx) => tx.audits.append(entry(0)));
        // Each takes longer than that commit, so that none joins for being quick.
        const tookMs = performance.now() - begun;
        const before = commits;
        const after = await Promise.all(
          Array.from({ length: 8 }, async (_, n) => {
            await store.transact(async (tx) => {
              await tx.audits.append(entry(n));
              const until = performance.now() + tookMs;
              while (performance.now() < until);
            });
            return commits - before;
          }),
        );
        assert.ok(
          (after[0] ?? 0) < (after[7] ?? 0),
          `they were kept by commits ${after.join(", ")}`,
        );
      },
    );
  });

  it("are not made for what changes nothing", async () => {
    const seen: string[] = [];
    await withStore({ onCommit: (n, phase) => void seen.push(`${n} ${phase}`) }, async (store) => {
      await store.transact((tx) => tx.audits.append(entry(1)));
      await store.transact(async (tx) => assert.equal(await tx.runs.get("none"), null));
      await store.transact((tx) => tx.audits.append(entry(2)));
    });
    assert.deepEqual(seen, ["1 before", "1 after", "2 before", "2 after"]);
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
        // A kept statement, which is not held up.
        await tx.audits.append(entry(1));
        await tx.templates.setStatus("none", "active");
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
        await tx.audits.append(entry(1));
        const answer = await tx.templates.setStatus("none", "active").then(
          () => "set",
          () => "not set",
        );
        return [answer];
      });
      assert.deepEqual(answers, ["set"]);
      assert.deepEqual(await details(store), [1]);
    });
  });

  it("is loaded by a read too", async () => {
    await withStore({}, async (store) => assert.deepEqual(await details(store), []));
  });
});

async function details(store: SqliteStore): Promise<readonly unknown[]> {
  const page = await store.read((tx) => tx.audits.list({ limit: 100, cursor: null }));
  return page.items.map(({ detail }) => detail);
}
