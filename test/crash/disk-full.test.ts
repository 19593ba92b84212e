import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { commandSchema, testDirectory, type TestServer } from "../support/server.ts";
import { CrashSite } from "../support/crash.ts";

/** Only root may mount. Root that cannot is a fault of the machine that CI must not hide. */
const mayMount = process.getuid?.() === 0;
const skip = mayMount ? false : "only root can mount a small disk";

/** A disk of so many MiB at the path, or null where this machine does not let it be. */
function mountSmallDisk(path: string, mebibytes: number): { readonly unmount: () => void } | null {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mebibytes}m`, "tmpfs", path], {
      stdio: "pipe",
    });
  } catch (error) {
    if (process.env["CI"] === "true") throw error;
    return null;
  }
  return { unmount: () => execFileSync("umount", ["-l", path]) };
}

/** Writes until nothing more fits. */
function fill(path: string): void {
  const file = openSync(path, "w");
  for (let size = 1 << 20; size >= 1; size >>= 1) {
    try {
      for (;;) writeSync(file, Buffer.alloc(size));
    } catch {
      // No room for so much: smaller pieces go on.
    }
  }
  closeSync(file);
}

const problemSchema = z.object({ status: z.number(), code: z.string() });

interface Sent {
  readonly refused: z.output<typeof problemSchema> | null;
  readonly id: string | null;
}

async function sendCreate(server: TestServer, name: string): Promise<Sent> {
  const response = await fetch(`${server.url}/api/v1/commands`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      type: "environment.create",
      source: "crash-test",
      id: name,
      subject: name,
      data: { name, template: "ledger", parameters: {} },
    }),
  });
  const body: unknown = await response.json();
  if (response.status === 202) return { refused: null, id: commandSchema.parse(body).id };
  return { refused: problemSchema.parse(body), id: null };
}

const mostCommands = 400;

/** Sends commands until the disk is full; what already lies in the database's files may still take some. */
async function sendUntilRefused(
  server: TestServer,
): Promise<{ readonly accepted: readonly string[]; readonly refused: Sent["refused"] }> {
  const accepted: string[] = [];
  for (let n = 0; n < mostCommands; n += 1) {
    const sent = await sendCreate(server, `more-${n}`);
    if (sent.refused !== null) return { accepted, refused: sent.refused };
    accepted.push(sent.id ?? "");
  }
  return { accepted, refused: null };
}

/** Waits for the end of what the command began: the processes of its environment are nobody's left-overs until then. */
async function endOf(server: TestServer, id: string): Promise<void> {
  const command = commandSchema.parse(await server.request("GET", `/api/v1/commands/${id}`));
  assert.ok(command.run !== null, `command ${id} is ${command.status} and has no run`);
  assert.equal((await server.settled(command.run)).status, "succeeded");
}

describe("a server whose disk is full", () => {
  test(
    "refuses commands, answers reads, holds outcomes, and goes on by itself when there is room",
    {
      skip,
    },
    async (t) => {
      const { path, remove } = await testDirectory();
      await mkdir(join(path, "disk"));
      const disk = mountSmallDisk(join(path, "disk"), 48);
      if (disk === null) {
        await remove();
        t.skip("this machine does not let a small disk be mounted");
        return;
      }
      const data = join(path, "disk", "data");
      const site = await CrashSite.open({ groups: 8, width: 4, holdSeconds: 3 }, { data });
      try {
        await underPressure(site, join(path, "disk", "filler"), (text) => t.diagnostic(text));
      } finally {
        await site.close();
        disk.unmount();
        await remove();
      }
    },
  );
});

async function underPressure(
  site: CrashSite,
  filler: string,
  tell: (text: string) => void,
): Promise<void> {
  const server = await site.start();
  const run = await site.create(server);
  while ((await server.run(run)).status !== "running") await sleep(20);
  fill(filler);
  const { accepted, refused } = await sendUntilRefused(server);
  tell(`${accepted.length} commands fitted before one was refused`);
  assert.deepEqual(refused, { ...refused, status: 503, code: "storage-full" });
  // The steps that were running end meanwhile; their outcomes have no room.
  await sleep(6_000);
  const held = await server.run(run);
  assert.deepEqual([held.status, held.progress.total], ["running", 8]);
  assert.equal(held.progress.done, 0);
  assert.equal((await sendCreate(server, "still-full")).refused?.code, "storage-full");
  await server.request("GET", "/api/v1/environments/judged");
  await server.request("GET", "/livez");
  rmSync(filler);
  const settled = await server.settled(run);
  assert.equal(settled.status, "succeeded");
  const again = await sendCreate(server, "still-full");
  assert.equal(again.refused, null, "a refused command is taken when it is sent again");
  for (const id of [...accepted, again.id ?? ""]) await endOf(server, id);
  assert.deepEqual(await site.complaints(server, run, "created"), []);
}
