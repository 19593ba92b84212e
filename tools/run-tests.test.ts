import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { judge } from "./run-tests.ts";

function report(counts: { passed: number; failed?: number; cancelled?: number }): string {
  const { passed, failed = 0, cancelled = 0 } = counts;
  const tests = passed + failed + cancelled;
  return `${JSON.stringify({ counts: { tests, passed, failed, cancelled, skipped: 0 } })}\n`;
}

describe("the verdict on a suite", () => {
  test("is good when tests passed, none failed and Node agrees", () => {
    assert.deepEqual(judge("0", report({ passed: 3 })), { passed: 3, failed: 0, complaints: [] });
  });

  test("counts failed and cancelled tests as failed", () => {
    assert.equal(judge("1", report({ passed: 3, failed: 1, cancelled: 1 })).failed, 2);
  });

  test("is bad when not one test was run, although Node exits with 0", () => {
    const outcome = judge("0", report({ passed: 0 }));
    assert.equal(outcome.failed, 1);
    assert.deepEqual(outcome.complaints, ["no test was run"]);
  });

  test("is bad when an error came after its test had ended", () => {
    assert.deepEqual(judge("1", report({ passed: 3 })), {
      passed: 3,
      failed: 1,
      complaints: ["exit 1 although no test failed"],
    });
  });

  test("names a file without a test, which Node counts as a passing one", () => {
    const lines = `${JSON.stringify({ emptyFile: "src/a.test.ts" })}\n${report({ passed: 3 })}`;
    assert.deepEqual(judge("0", lines), {
      passed: 2,
      failed: 1,
      complaints: ["src/a.test.ts has no test"],
    });
  });

  test("is bad when the process was killed before it had counted", () => {
    assert.equal(judge("SIGKILL", "").failed, 1);
  });
});
