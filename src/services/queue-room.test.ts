import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { QueueRoom } from "./queue-room.ts";

/** A queue of which only its length matters. */
function setUp(limit: number) {
  const state = { queued: 0, counts: 0, nowMs: 0 };
  const room = new QueueRoom({ monotonic: () => state.nowMs });
  const countQueued = async (): Promise<number> => {
    state.counts += 1;
    return state.queued;
  };
  const enter = async (): Promise<void> => {
    await room.take({ runs: { countQueued }, sure: (look) => look }, limit);
    state.queued += 1;
  };
  return { state, enter };
}

describe("room in the queue", () => {
  test("is taken up to the last place and not beyond it", async () => {
    const { state, enter } = setUp(1_000);
    for (let n = 0; n < 1_000; n += 1) await enter();
    await assert.rejects(enter(), { code: "too-many" });
    assert.equal(state.queued, 1_000);
  });

  test("is counted seldom while much of it is free", async () => {
    const { state, enter } = setUp(10_000);
    for (let n = 0; n < 5_000; n += 1) await enter();
    assert.ok(state.counts <= 6, `counted ${state.counts} times`);
  });

  test("is counted again when others may have taken it since", async () => {
    const { state, enter } = setUp(1_000);
    await enter();
    state.queued = 1_000;
    state.nowMs = 1_001;
    await assert.rejects(enter(), { code: "too-many" });
  });

  test("is there again as soon as a run has left a full queue", async () => {
    const { state, enter } = setUp(10);
    state.queued = 10;
    await assert.rejects(enter(), { code: "too-many" });
    state.queued = 9;
    await enter();
    await assert.rejects(enter(), { code: "too-many" });
  });
});
