import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { cutOffAfterActing } from "../support/experiment-effect.ts";
import { testDirectory } from "../support/server.ts";

describe("a command that was cut off after it had acted", () => {
  test("is not repeated when the look at it is cut off as well, before it began", async () => {
    assert.deepEqual(await cutOffAfterActing({ twice: true }), { made: 1, status: "succeeded" });
  });

  test("is asked about, not repeated, when it cannot be looked at", async () => {
    const observe = ["sh", "-c", "exit 9"];
    assert.deepEqual(await cutOffAfterActing({ observe }), { made: 1, status: "waiting" });
  });

  test("is looked at again, not repeated, when looking fails for now", async () => {
    const { path, remove } = await testDirectory();
    const once = '[ -e "$0" ] || { touch "$0"; exit 75; }';
    const observe = ["sh", "-c", once, join(path, "looked")];
    assert.deepEqual(await cutOffAfterActing({ observe }), { made: 1, status: "succeeded" });
    await remove();
  });
});
