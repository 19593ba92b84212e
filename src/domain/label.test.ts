import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { labelPattern, offersAll, sortedLabels } from "./label.ts";

void describe("labels", () => {
  void it("are small letters and digits first, then also . _ and -, at most 63 characters", () => {
    for (const good of ["gpu", "8", "zone-1", "a.b_c", "x".repeat(63)])
      assert.match(good, labelPattern);
    for (const bad of ["", "GPU", "-a", ".a", "a b", "a+b", "a,b", "ä", "x".repeat(64), "a\n"])
      assert.doesNotMatch(bad, labelPattern);
  });

  void it("are kept once each and in order", () => {
    assert.deepEqual(sortedLabels(["gpu", "eu", "gpu"]), ["eu", "gpu"]);
  });

  void it("are served only where all of them are offered", () => {
    assert.equal(offersAll([], []), true);
    assert.equal(offersAll(["eu"], []), true);
    assert.equal(offersAll(["eu", "gpu"], ["gpu", "eu"]), true);
    assert.equal(offersAll(["eu"], ["eu", "gpu"]), false);
  });
});
