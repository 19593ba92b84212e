import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Ddl } from "../sql/migrations/ddl.ts";
import { migrations } from "../sql/migrations.ts";
import { columnType } from "./column-types.ts";

const ddl: Ddl = {
  identity: "bigint",
  rising: "bigint",
  bytes: "bytea",
  boolean: "boolean",
  keyOrdered: "",
  fullText: "tsvector",
  shared: true,
};
const letters: Readonly<Record<string, string>> = {
  text: "t",
  integer: "n",
  bigint: "n",
  boolean: "b",
};

describe("types of columns", () => {
  it("are told by the names that every change of the schema gives", () => {
    const declared = migrations
      .flatMap(({ statements }) => statements(ddl))
      .filter((statement) => /^\s*(?:create|alter) table/u.test(statement))
      .flatMap((statement) => [
        ...statement.matchAll(/"(\w+)" (text|integer|bigint|boolean|bytea|timestamptz)\b/gu),
      ]);
    const found = new Map<string, Set<string | null>>();
    for (const [, name = "", type = ""] of declared)
      found.set(name, (found.get(name) ?? new Set()).add(letters[type] ?? null));
    assert.ok(found.size > 100, `${found.size} columns`);
    for (const [name, types] of found) {
      const type = types.size === 1 ? [...types][0] : null;
      assert.equal(columnType(name), type, `"${name}" holds ${[...types].join(" and ")}`);
    }
  });
});
