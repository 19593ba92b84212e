import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StoreFault } from "../../../domain/errors.ts";
import { translate } from "./errors.ts";

function saidBySqlite(errcode: number): Error {
  return Object.assign(new Error("what SQLite says"), { errcode });
}

describe("what SQLite says", () => {
  it("is a fault of the store when memory, disk, file or lock fail, whatever the extended code", () => {
    for (const code of [5, 7, 8, 10, 11, 13, 14, 26]) {
      assert.ok(translate(saidBySqlite(code)) instanceof StoreFault, `code ${code}`);
      assert.ok(translate(saidBySqlite(code + 3 * 256)) instanceof StoreFault, `code ${code}`);
    }
  });

  it("is none when a statement is wrong or breaks a rule of the tables", () => {
    for (const code of [1, 19]) {
      const error = saidBySqlite(code);
      assert.equal(translate(error), error);
    }
  });
});
