import assert from "node:assert/strict";
import { describe, it } from "node:test";
import pg from "pg";
import { StoreFault } from "../../domain/errors.ts";
import { ConnectionLost, translate } from "./errors.ts";

function saidByServer(code: string): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError("what the server says", 1, "error"), { code });
}

describe("what PostgreSQL says", () => {
  it("is a fault of the store when the server, its files, or the way to it fail", () => {
    const codes = "08006 28P01 3D000 40001 40P01 53100 53300 55P03 57014 57P01 57P04 58030 58P01";
    for (const code of [...codes.split(" "), "XX001", "XX002"])
      assert.ok(translate(saidByServer(code)) instanceof StoreFault, code);
    assert.ok(translate(new ConnectionLost(new Error("reset"))) instanceof StoreFault);
  });

  it("is none when a statement is wrong or breaks a rule of the tables", () => {
    for (const code of ["42601", "23514", "22P02"]) {
      const error = saidByServer(code);
      assert.equal(translate(error), error);
    }
  });
});
