import assert from "node:assert/strict";
import { test } from "node:test";
import type { Checker, CheckTarget } from "../ports/check.ts";

export interface CheckFixtures {
  readonly healthy: CheckTarget;
  readonly unhealthy: CheckTarget;
  /** Takes longer than a second to say anything. */
  readonly silent: CheckTarget;
}

/** What every checker must do. */
export function testChecker(checker: Checker, fixtures: () => Promise<CheckFixtures>): void {
  const look = async (target: CheckTarget, timeoutMs = 10_000) =>
    checker.check(target, { timeoutMs, signal: new AbortController().signal });

  test("says that a healthy target is healthy, and what it saw", async () => {
    const outcome = await look((await fixtures()).healthy);
    assert.equal(outcome.healthy, true, outcome.detail);
    assert.notEqual(outcome.detail, "");
  });

  test("says that an unhealthy target is unhealthy, and why", async () => {
    const outcome = await look((await fixtures()).unhealthy);
    assert.equal(outcome.healthy, false);
    assert.notEqual(outcome.detail, "");
  });

  test("gives up on a silent target after its time limit", async () => {
    const startedMs = performance.now();
    const outcome = await look((await fixtures()).silent, 200);
    assert.equal(outcome.healthy, false);
    assert.match(outcome.detail, /within 200 ms/u);
    assert.ok(performance.now() - startedMs < 900, "it waited too long");
  });

  test("rejects with the reason when it is aborted before or meanwhile", async () => {
    const { silent } = await fixtures();
    const reason = new Error("enough");
    const early = AbortSignal.abort(reason);
    await assert.rejects(checker.check(silent, { timeoutMs: 10_000, signal: early }), reason);
    const controller = new AbortController();
    const checking = checker.check(silent, { timeoutMs: 10_000, signal: controller.signal });
    setTimeout(() => controller.abort(reason), 50);
    await assert.rejects(checking, reason);
  });
}
