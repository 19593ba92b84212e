import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tableLines } from "./table.ts";
import { fakeTerminal } from "./terminal.fixture.ts";
import { age, cut, hasColour, moment, pad, safe, shortTime, widthOf } from "./text.ts";

describe("text from elsewhere", () => {
  test("cannot steer the terminal", () => {
    assert.equal(safe("a\u001B[2Jb\u0007c\nd\u009Be"), "a\\u001b[2Jb\\u0007c\\u000ad\\u009be");
    assert.equal(safe("admin\u202Etxt.exe"), "admin\\u202etxt.exe");
    assert.equal(safe("täxt 漢字 👍"), "täxt 漢字 👍");
  });

  test("is measured in columns", () => {
    assert.equal(widthOf("abc"), 3);
    assert.equal(widthOf("漢字"), 4);
    assert.equal(widthOf("e\u0301"), 1);
    assert.equal(widthOf("\u001B[31mred\u001B[39m"), 3);
  });

  test("is cut and padded by columns", () => {
    assert.equal(cut("abcdef", 4), "abc…");
    assert.equal(cut("abc", 3), "abc");
    assert.equal(cut("漢字漢字", 5), "漢字…");
    assert.equal(pad("漢", 4), "漢  ");
  });
});

describe("times", () => {
  test("are short", () => {
    assert.equal(shortTime(1_234), "1.2s");
    assert.equal(shortTime(59_960), "1m0s");
    assert.equal(shortTime(200_000), "3m20s");
    assert.equal(shortTime(7_500_000), "2h5m");
    assert.equal(shortTime(10 * 86_400_000), "10d");
    assert.equal(moment("2026-01-01T00:00:00.999Z"), "2026-01-01T00:00:00Z");
    assert.equal(moment(null), "");
    assert.equal(age("1970-01-01T00:00:00Z", 5_000), "5s");
  });
});

function env(values: Record<string, string>, interactive: boolean): boolean {
  return hasColour(fakeTerminal({ env: values, interactive }), "out");
}

describe("colours", () => {
  test("are for terminals, unless NO_COLOR or FORCE_COLOR say otherwise", () => {
    const plain = fakeTerminal();
    const terminal = fakeTerminal({ interactive: true });
    assert.equal(hasColour(plain, "out"), false);
    assert.equal(hasColour(terminal, "out"), true);
    assert.equal(env({ NO_COLOR: "1" }, true), false);
    assert.equal(env({ NO_COLOR: "" }, true), true);
    assert.equal(env({ FORCE_COLOR: "1" }, false), true);
    assert.equal(env({ FORCE_COLOR: "1", NO_COLOR: "1" }, false), true);
    assert.equal(env({ FORCE_COLOR: "0" }, true), false);
    assert.equal(env({ TERM: "dumb" }, true), false);
  });
});

describe("a table", () => {
  const columns = [
    { title: "NAME", value: ({ name }: { name: string }) => name },
    { title: "SIZE", value: ({ name }: { name: string }) => String(name.length) },
    { title: "MORE", value: () => "x", wide: true as const },
  ];

  test("has columns as wide as their widest cell, whatever the letters", () => {
    const lines = tableLines(
      { terminal: fakeTerminal(), format: "table" },
      [{ name: "漢字漢" }, { name: "a" }],
      columns,
    );
    assert.deepEqual(lines, ["NAME    SIZE", "漢字漢  3", "a       1"]);
  });

  test("has its wide columns only when they are asked for, and shows nothing that steers", () => {
    const lines = tableLines(
      { terminal: fakeTerminal(), format: "wide" },
      [{ name: "a\u001B[2J" }],
      columns,
    );
    assert.match(lines[0] ?? "", /MORE/u);
    assert.equal(lines.join("").includes("\u001B"), false);
  });
});
