import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SeenIndex } from "./seen-index.ts";

function index(cluster: string, value: number): string {
  return Buffer.from(JSON.stringify({ cluster, value: String(value) })).toString("base64");
}

function after(...indices: readonly (string | undefined)[]): string | undefined {
  const seen = new SeenIndex();
  for (const one of indices) seen.note(one === undefined ? {} : { "x-vault-index": one });
  return seen.headers()["x-vault-index"];
}

describe("what a client has seen of a cluster", () => {
  test("is nothing as long as no answer says it", () => {
    assert.deepEqual(new SeenIndex().headers(), {});
    assert.equal(after(undefined), undefined);
  });

  test("is the newest, in whichever order answers come", () => {
    assert.equal(after(index("a", 9), index("a", 10)), index("a", 10));
    assert.equal(after(index("a", 10), index("a", 9)), index("a", 10));
    assert.equal(after(index("a", 10), undefined), index("a", 10));
  });

  test("begins anew with another cluster, and takes what it cannot compare as it comes", () => {
    assert.equal(after(index("a", 10), index("b", 2)), index("b", 2));
    assert.equal(after(index("a", 10), "of another kind"), "of another kind");
    assert.equal(after("of another kind", "the next"), "the next");
  });
});
