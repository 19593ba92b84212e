import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest } from "./nearest.ts";

test("a slip of the fingers finds the word that was meant", () => {
  const known = ["parameters", "environment", "groups"];
  for (const [typed, meant] of [
    ["paramters", "parameters"],
    ["parametres", "parameters"],
    ["enviroment", "environment"],
    ["group", "groups"],
    ["gruops", "groups"],
  ] as const) {
    assert.equal(nearest(typed, known), meant);
  }
});

test("a word that is close to nothing finds nothing", () => {
  assert.equal(nearest("zebra", ["parameters", "groups"]), null);
  assert.equal(nearest("x", []), null);
  assert.equal(nearest("ab", ["cd"]), null);
});

test("the closest of several wins, the first of equals", () => {
  assert.equal(nearest("nodes", ["nods", "nodez", "modes", "nodes"]), "nodes");
  assert.equal(nearest("cat", ["bat", "hat"]), "bat");
});
