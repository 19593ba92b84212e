import assert from "node:assert/strict";
import fs, { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Mask } from "../../lib/mask.ts";
import { tailFile, type TailOptions, type TailSummary } from "./tail.ts";

const root = mkdtempSync(join(tmpdir(), "glasshouse-tail-"));
after(() => rmSync(root, { recursive: true, force: true }));

test("gives each line while it is written, and the last one without its end", async () => {
  const tail = following();
  tail.append("first\nsec");
  await tail.until(1);
  assert.deepEqual(tail.lines, ["first"]);
  tail.append("ond\r\n\nlast");
  await tail.until(3);
  assert.deepEqual(await tail.end(), { lines: 4, bytes: 19, droppedBytes: 0 });
  assert.deepEqual(tail.lines, ["first", "second", "", "last"]);
});

test("reads what was written before the end even when nothing woke it", async () => {
  const tail = following();
  tail.append("a\n".repeat(20_000));
  const { lines } = await tail.end();
  assert.equal(lines, 20_000);
});

test("keeps letters of several bytes whole across readings", async () => {
  const tail = following();
  const text = "häuser€𝄞".repeat(20_000);
  tail.append(`${text}\n`);
  await tail.end();
  assert.equal(tail.lines.join(""), text);
});

test("splits a line that is too long into pieces and tears no secret", async () => {
  const mask = new Mask();
  mask.add("the-secret-value");
  const tail = following({ mask, maxLineLength: 1000 });
  for (let n = 0; n < 60; n += 1) tail.append(`${"x".repeat(977 + n)}the-secret-value`);
  await tail.end();
  assert.ok(tail.lines.length > 30);
  assert.ok(tail.lines.every((line) => line.length <= 2000));
  assert.equal(tail.lines.join("").replaceAll("(secret)", "").replaceAll("x", ""), "");
});

test("gives no more than the limit, says so, and does not let the file grow for ever", async () => {
  const tail = following({ maxBytes: 1000 });
  for (let n = 0; n < 40; n += 1) {
    tail.append("0123456789abcde\n".repeat(65_536));
    await sleep(5);
  }
  const summary = await tail.end();
  assert.equal(summary.bytes, 1000);
  // What is written between its look at the file and its cut is left out uncounted: a busy machine makes that more.
  assert.ok(summary.droppedBytes > 1_000_000, `${summary.droppedBytes} bytes were counted`);
  assert.match(tail.lines.at(-2) ?? "", /past 1000 bytes is left out/u);
  assert.match(tail.lines.at(-1) ?? "", /\d+ bytes of output were left out/u);
  assert.ok(tail.lines.length < 70);
  assert.ok(statSync(tail.path).size < 20_000_000);
});

test("begins again when the child empties its own output", async () => {
  const tail = following();
  tail.append("a long first line\n");
  await tail.until(1);
  writeFileSync(tail.path, "second\n");
  await tail.until(2);
  await tail.end();
  assert.deepEqual(tail.lines, ["a long first line", "second"]);
});

test("reads a program that says much a few times, and not at each of its writes", async (t) => {
  const looks = t.mock.method(fs, "fstatSync");
  syncBuiltinESMExports();
  const tail = following();
  const begun = performance.now();
  for (let n = 0; n < 300; n += 1) {
    tail.append(`${n}\n`);
    await sleep(1);
  }
  const took = performance.now() - begun;
  await tail.until(300);
  t.mock.restoreAll();
  syncBuiltinESMExports();
  // However slow the machine is: two looks, one before and one after the watch, for each pause that there was time for.
  const most = 20 + took / 10;
  assert.ok(looks.mock.callCount() < most, `${looks.mock.callCount()} looks in ${took} ms`);
  await tail.end();
  assert.equal(tail.lines.length, 300);
});

test("waits for a slow reader and rejects with what it throws", async () => {
  const seen: string[] = [];
  const tail = following({
    onLine: async (line) => {
      await sleep(5);
      seen.push(line);
      if (line === "2") throw new Error("full");
    },
  });
  tail.append("1\n2\n3\n");
  await assert.rejects(tail.end(), /full/u);
  assert.deepEqual(seen, ["1", "2"]);
});

interface Following {
  readonly path: string;
  readonly lines: readonly string[];
  append(text: string): void;
  until(count: number): Promise<void>;
  end(): Promise<TailSummary>;
}

let files = 0;
function following(options: Partial<TailOptions> = {}): Following {
  files += 1;
  const path = join(root, `output.${files}`);
  writeFileSync(path, "");
  const lines: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const summary = tailFile(path, {
    onLine: (line) => void lines.push(line),
    ended: promise,
    ...options,
  });
  summary.catch(() => undefined);
  return {
    path,
    lines,
    append: (text) => appendFileSync(path, text),
    until: async (count) => {
      for (let n = 0; lines.length < count && n < 500; n += 1) await sleep(10);
      assert.ok(lines.length >= count);
    },
    end: () => {
      resolve();
      return summary;
    },
  };
}
