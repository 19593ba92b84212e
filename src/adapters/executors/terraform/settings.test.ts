import assert from "node:assert/strict";
import { test } from "node:test";
import { filesOf, normalPath, parseSettings, validateSettings } from "./settings.ts";

test("the source and further files are what a group depends on", () => {
  assert.deepEqual(filesOf({ source: "./network/", files: ["modules/../shared"] }), [
    "network",
    "shared",
  ]);
  assert.deepEqual(filesOf({ source: "." }), [""]);
});

test("variables are optional", () => {
  assert.deepEqual(parseSettings({ source: "x" }).variables, {});
});

test("the variable that the service fills cannot be given", () => {
  const [mistake, ...more] = validateSettings({ source: "x", variables: { glasshouse: 1, a: 2 } });
  assert.equal(mistake?.pointer, "/variables/glasshouse");
  assert.deepEqual(more, []);
  assert.deepEqual(validateSettings({ source: "x", variables: { a: 2 } }), []);
  assert.deepEqual(validateSettings({ source: "x" }), []);
});

test("paths have one form", () => {
  assert.deepEqual(["./a/b/", "a//b", "a/./b", "./", "."].map(normalPath), [
    "a/b",
    "a/b",
    "a/b",
    "",
    "",
  ]);
});
