import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { labelPattern, offersAll, offersText, sortedLabels, waitReason } from "./label.ts";

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

  void it("are told as lists that workers offer, those without labels only when there are no others", () => {
    assert.equal(offersText([]), "no worker is there now");
    assert.equal(offersText([[], []]), "workers now offer no labels");
    assert.equal(
      offersText([["us"], [], ["eu", "gpu"], ["us"]]),
      "workers now offer eu, gpu; or us",
    );
    const many = Array.from({ length: 7 }, (_none, index) => [`l${index}`]);
    assert.match(offersText(many), /l4; or 2 other lists$/u);
  });

  void it("that nobody offers are what is waited for", () => {
    assert.equal(waitReason(["gpu"], [[], ["gpu"]]), null);
    assert.equal(waitReason([], [["gpu"]]), null);
    assert.equal(
      waitReason(["gpu"], [["eu"]]),
      "waits for a worker that offers gpu; workers now offer eu",
    );
    assert.equal(waitReason([], []), "waits for a worker; no worker is there now");
  });

  void it("are served only where all of them are offered", () => {
    assert.equal(offersAll([], []), true);
    assert.equal(offersAll(["eu"], []), true);
    assert.equal(offersAll(["eu", "gpu"], ["gpu", "eu"]), true);
    assert.equal(offersAll(["eu"], ["eu", "gpu"]), false);
  });
});
