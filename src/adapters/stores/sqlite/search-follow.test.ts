import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Store } from "../../../ports/store.ts";
import { FakeClock } from "../../../testing/fake-clock.ts";
import { anEvent } from "../../../testing/store-contract-data.ts";
import {
  endedOf,
  everything,
  fillForSearch,
  find,
} from "../../../testing/store-contract-search.ts";
import { Connection } from "./connection.ts";
import { inDirectory, open } from "./store.fixture.ts";

/** Nothing is followed unless somebody asks. */
const unasked = { restMs: 1_000_000 };
const all = "shop OR -shop";

describe("the index of search follows the journal", () => {
  it("by itself, soon after a commit", async () => {
    await inDirectory(async (directory) => {
      const store = await open({ directory, limits: { restMs: 1 } });
      await fillForSearch(store, new FakeClock());
      for (let tries = 0; documents(directory) < everything.length && tries < 1_000; tries += 1)
        await sleep(5);
      assert.equal(documents(directory), everything.length);
      await store.close();
    });
  });

  it("outside of the commits that it follows, and at once when somebody asks", async () => {
    await inDirectory(async (directory) => {
      const commits: number[] = [];
      const store = await open({
        directory,
        limits: unasked,
        onCommit: (n, phase) => phase === "after" && commits.push(n),
      });
      await fillForSearch(store, new FakeClock());
      assert.deepEqual([commits.length, documents(directory)], [1, 0]);
      assert.equal((await find(store, all)).length, everything.length);
      assert.deepEqual([commits.length, documents(directory)], [2, everything.length]);
      // Of what is indexed nothing is written again.
      await find(store, all);
      assert.equal(commits.length, 2);
      await store.close();
    });
  });

  it("through all there is when events that it has not followed are gone, and else not", async () => {
    await inDirectory(async (directory) => {
      const first = await open({ directory });
      await fillForSearch(first, new FakeClock());
      await first.transact((tx) => tx.events.append([anEvent("env_other")], ""));
      assert.equal((await find(first, all)).length, everything.length);
      await first.close();
      change(directory, `delete from "document" where "kind" = 'observed'`);
      const same = await open({ directory });
      assert.deepEqual(await find(same, "kind:observed"), [], "all was gone through again");
      await same.close();
      change(directory, `update "searchPosition" set "position" = 1`);
      change(directory, `delete from "event" where "position" < 5`);
      const found = await open({ directory });
      assert.deepEqual(await find(found, "kind:observed"), everything.slice(0, 2));
      await found.close();
    });
  });

  it("group by group where much was observed, with turns of the event loop in between", async () => {
    await inDirectory(async (directory) => {
      const commits: number[] = [];
      const onCommit = (n: number, phase: string): void => {
        if (phase === "after") commits.push(n);
      };
      const store = await open({ directory, limits: unasked, onCommit });
      await fillForSearch(store, new FakeClock());
      await find(store, all);
      for (const group of ["one", "two", "three"]) await observeMany(store, group);
      commits.length = 0;
      const turns = countTurns();
      assert.equal((await find(store, "name:many")).length, 100);
      assert.ok(turns.end() >= (3 * many) / 100, "others had to wait");
      assert.equal(commits.length, 3);
      await store.close();
    });
  });

  it("or says that it is behind, when that takes too long", async () => {
    await inDirectory(async (directory) => {
      const store = await open({ directory, limits: { ...unasked, waitMs: 0 } });
      await fillForSearch(store, new FakeClock());
      await assert.rejects(find(store, all), { code: "unavailable", message: /4 events behind/u });
      await store.close();
    });
  });
});

const many = 500;

async function observeMany(store: Store, group: string): Promise<void> {
  const at = { environmentId: "env_shop", template: "web-shop", group };
  const observed = Array.from({ length: many }, (_, n) => ({
    address: `many-${group}-${n}`,
    type: "server",
    externalId: null,
    attributes: {},
  }));
  await store.transact(async (tx) => {
    await tx.resources.addObserved(at, observed, "");
    await tx.events.append([endedOf(at)], "");
  });
}

/** How often the event loop turns until the end. */
function countTurns(): { readonly end: () => number } {
  let count = 0;
  let next: NodeJS.Immediate;
  const turn = (): void => {
    count += 1;
    next = setImmediate(turn);
  };
  next = setImmediate(turn);
  return {
    end: () => {
      clearImmediate(next);
      return count;
    },
  };
}

/** How many things are indexed, whoever asks. */
function documents(directory: string): number {
  const connection = new Connection(join(directory, "glasshouse.db"), "read");
  const [row] = connection.all<{ readonly count: number }>(
    `select count(*) as "count" from "document"`,
    [],
  );
  connection.close();
  return row?.count ?? 0;
}

function change(directory: string, sql: string): void {
  const connection = new Connection(join(directory, "glasshouse.db"), "write");
  connection.database.exec(sql);
  connection.close();
}
