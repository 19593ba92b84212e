import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { FakeClock } from "../../../testing/fake-clock.ts";
import { withCode } from "../../../testing/store-contract-data.ts";
import { pages } from "../../../testing/store-contract-search.ts";
import { createSqliteStore } from "./index.ts";
import { silentLog } from "./store.fixture.ts";

const program = fileURLToPath(new URL("./process.fixture.ts", import.meta.url));
/** More of them when the crash tests run in full. */
const kills = process.env["CRASH_TESTS"] === "full" ? 100 : 5;

describe("the lock of the data directory", () => {
  it("refuses a second process within five seconds and names the first one's pid", async () => {
    await inDirectory(async (directory) => {
      const store = await open(directory);
      const before = performance.now();
      const child = start(directory, "");
      const said = await firstLine(child);
      assert.match(said, /^refused /u);
      assert.ok(said.includes(`process ${process.pid}.`), said);
      assert.ok(performance.now() - before < 5_000);
      await store.close();
    });
  });

  it("names the pid of another process to this one", async () => {
    await inDirectory(async (directory) => {
      const child = start(directory, "");
      assert.equal(await firstLine(child), "open");
      await assert.rejects(open(directory), (error) => {
        assert.ok(error instanceof Error);
        assert.ok(error.message.includes(`process ${child.pid}.`), error.message);
        return withCode("conflict")(error);
      });
      await kill(child);
    });
  });

  it("refuses a second store in the same process", async () => {
    await inDirectory(async (directory) => {
      const store = await open(directory);
      await assert.rejects(open(directory), withCode("conflict"));
      await store.close();
      await (await open(directory)).close();
    });
  });
});

describe("a process that is killed", () => {
  it(`frees the lock, and loses no resolved transaction and nothing of what is searched, ${kills} times`, async () => {
    await inDirectory(async (directory) => {
      let promised = 0;
      for (let n = 0; n < kills; n += 1) {
        const child = start(directory, "write");
        const lines = createInterface(child.stdout);
        let count = 0;
        const writes = Promise.withResolvers<void>();
        lines.on("line", (line) => {
          if (line === "open") return;
          count += 1;
          writes.resolve();
        });
        await writes.promise;
        await sleep((n * 7) % 40);
        await kill(child);
        promised += count;
      }
      assert.ok(promised > 0, "no transaction resolved before a kill");
      const store = await open(directory);
      const kept = await countAudits(store);
      // One may have been committed in each life without having been told.
      assert.ok(kept >= promised && kept <= promised + kills, `${kept} kept of ${promised}`);
      assert.equal((await pages(store, "kind:environment", 1_000)).length, kept);
      await store.close();
    });
  });
});

async function countAudits(store: Awaited<ReturnType<typeof open>>): Promise<number> {
  let count = 0;
  let cursor: string | null = null;
  do {
    const at: string | null = cursor;
    const page: { readonly items: readonly unknown[]; readonly next: string | null } =
      await store.read((tx) => tx.audits.list({ limit: 1_000, cursor: at }));
    count += page.items.length;
    cursor = page.next;
  } while (cursor !== null);
  return count;
}

function open(directory: string) {
  return createSqliteStore({ directory, clock: new FakeClock(), log: silentLog });
}

type Child = ChildProcessByStdio<null, Readable, null>;

function start(directory: string, what: string): Child {
  return spawn(process.execPath, [program, directory, what], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

async function firstLine(child: Child): Promise<string> {
  const [line]: readonly unknown[] = await once(createInterface(child.stdout), "line");
  return String(line);
}

async function kill(child: Child): Promise<void> {
  const ended = once(child, "close");
  child.kill("SIGKILL");
  await ended;
}

async function inDirectory(fn: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "glasshouse-lock-"));
  try {
    await fn(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
