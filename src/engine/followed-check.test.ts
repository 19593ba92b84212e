import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CheckState } from "../domain/check.ts";
import { FakeClock } from "../testing/fake-clock.ts";
import { damping, FollowedCheck } from "./followed-check.ts";

const well = { healthy: true, detail: "HTTP 200" };
const ill = { healthy: false, detail: "HTTP 503" };

const passing: CheckState = {
  environmentId: "env_1",
  key: "shop",
  status: "passing",
  detail: "HTTP 200",
  target: "http://x/",
  checkedAt: "2026-01-01T00:00:00.000Z",
  lost: null,
};

function followed(stored: CheckState | null = passing) {
  const clock = new FakeClock();
  const about = { environmentId: "env_1", key: "shop", target: "http://x/" };
  const check = new FollowedCheck({ ...about, check: { failures: 3 }, clock }, stored);
  /** Writes what is due; says what that is. */
  const write = (): string | null => {
    const due = check.due();
    if (due === null || !("state" in due)) return null;
    check.wrote(due.state);
    return due.state.status;
  };
  return { clock, check, write };
}

describe("a check that is followed", () => {
  test("has nothing to write while it says what the store has", () => {
    const { check } = followed();
    check.looked(well);
    assert.equal(check.due(), null);
  });

  test("fails after so many failures in a row, and one that passes begins the count anew", () => {
    const { check, write } = followed();
    for (const outcome of [ill, ill, well, ill, ill]) check.looked(outcome);
    assert.equal(check.due(), null);
    check.looked(ill);
    assert.equal(write(), "failing");
    check.looked(well);
    assert.equal(write(), "passing");
  });

  test("fails at once when it is told by one who has counted already", () => {
    const { check, write } = followed();
    check.tell(ill);
    assert.equal(write(), "failing");
  });

  test("is told of at once a few times, then one turn for each quarter of a minute, as it is then", () => {
    const { clock, check, write } = followed();
    const turn = (): void => check.tell(check.due() === null ? ill : well);
    for (let turns = 0; turns < damping.burst; turns += 1) {
      check.tell(turns % 2 === 0 ? ill : well);
      assert.notEqual(write(), null, `turn ${turns}`);
    }
    check.tell(ill);
    assert.deepEqual(check.due(), { inMs: damping.everyMs });
    clock.advance(damping.everyMs - 1);
    assert.deepEqual(check.due(), { inMs: 1 });
    // It has come back meanwhile: there is nothing to tell.
    check.tell(well);
    clock.advance(1);
    assert.equal(check.due(), null);
    turn();
    assert.equal(write(), "failing");
    check.tell(well);
    assert.equal(write(), null);
  });

  test("costs at most four turns a minute while it comes and goes all the time", () => {
    const { clock, check, write } = followed();
    let written = 0;
    for (let second = 0; second < 600; second += 1) {
      check.tell(second % 2 === 0 ? ill : well);
      if (write() !== null) written += 1;
      clock.advance(1_000);
    }
    assert.ok(written <= damping.burst + 600_000 / damping.everyMs, String(written));
    assert.ok(written > 10, String(written));
  });

  test("keeps what was seen last while it cannot be looked at, and says why", () => {
    const { check, write } = followed();
    check.lose("Consul cannot be asked");
    const due = check.due();
    assert.ok(due !== null && "state" in due);
    assert.deepEqual(due.state, { ...passing, lost: "Consul cannot be asked" });
    assert.equal(write(), "passing");
    check.lose("Consul cannot be asked: in other words");
    assert.deepEqual(Object.keys(check.due() ?? {}), ["inMs"]);
    check.tell(well);
    assert.equal(write(), "passing");
    assert.equal(check.due(), null);
  });

  test("counts a look that says nothing neither as one that failed nor as one that passed", () => {
    const { check, write } = followed();
    for (let looks = 0; looks < 5; looks += 1)
      check.looked({ healthy: false, detail: "away", isUnknown: true });
    assert.equal(write(), "passing");
    check.looked(ill);
    check.looked(ill);
    assert.equal(write(), "passing");
    check.looked(ill);
    assert.equal(write(), "failing");
  });

  test("writes words that change while the state does not once a minute", () => {
    const { clock, check, write } = followed();
    check.tell({ ...well, detail: "2 of 3 instances pass" });
    assert.equal(write(), "passing");
    check.tell({ ...well, detail: "1 of 3 instances pass" });
    assert.deepEqual(check.due(), { inMs: 60_000 });
    clock.advance(60_000);
    assert.equal(write(), "passing");
  });

  test("takes what somebody else has written meanwhile", () => {
    const { check, write } = followed();
    check.tell(ill);
    check.settle({ ...passing, status: "failing", detail: "HTTP 503" });
    assert.equal(check.due(), null);
    check.settle(passing);
    assert.equal(write(), "failing");
  });

  test("that was never looked at is news with the first look", () => {
    const { check, write } = followed(null);
    assert.equal(check.due(), null);
    check.looked(well);
    assert.equal(write(), "passing");
  });
});
