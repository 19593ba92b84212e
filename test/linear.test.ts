import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { linearFaults, type Operation, type Told } from "./support/linear.ts";

/** A life of one environment: created at 1, updated at 4, destroyed by 8. */
const told: readonly Told[] = [
  accepted(1, "c1"),
  event(2, "environment.deploying"),
  event(3, "environment.ok"),
  accepted(4, "c2"),
  accepted(5, "c3"),
  event(6, "environment.destroying"),
  event(7, "run.started"),
  event(8, "environment.destroyed"),
];

const create = {
  ...operation("create", [0, 10], { is: "accepted", command: "c1" }),
  value: "a",
};
const update = {
  ...operation("update", [20, 30], { is: "accepted", command: "c2" }),
  value: "b",
  ifsequence: 3,
};
const destroy = operation("destroy", [40, 50], { is: "accepted", command: "c3" });
const life = [create, update, destroy];

describe("the judge of histories", () => {
  test("finds nothing in a lawful one, with its reads and refusals", () => {
    const more = [
      operation("read", [11, 19], seen(3, "deployed-ok", "a")),
      operation("create", [12, 13], { is: "refused", code: "already-exists" }),
      operation("update", [60, 61], { is: "refused", code: "conflict" }),
      operation("read", [70, 71], seen(8, "destroyed", "b")),
    ];
    assert.deepEqual(linearFaults([...life, ...more], told), []);
  });

  const broken: Readonly<Record<string, Operation>> = {
    "an accepted command that the journal does not know": operation("update", [20, 21], {
      is: "accepted",
      command: "c9",
    }),
    "a read of what was so before it began": operation(
      "read",
      [35, 36],
      seen(3, "deployed-ok", "a"),
    ),
    "a read of what never was": operation("read", [20, 36], seen(4, "deployed-ok", "z")),
    "a refusal without a cause": operation("create", [100, 101], {
      is: "refused",
      code: "conflict",
    }),
    "a refusal whose cause came later": operation("update", [31, 32], {
      is: "refused",
      code: "conflict",
    }),
  };
  for (const [name, fault] of Object.entries(broken))
    test(`finds ${name}`, () => {
      assert.equal(linearFaults([...life, fault], told).length, 1);
    });

  test("finds a second create of what lives", () => {
    const again = operation("create", [60, 61], { is: "accepted", command: "c4" });
    const doubled = [...told.slice(0, 4), accepted(5, "c4")];
    const faults = linearFaults([create, update, again], doubled);
    assert.equal(faults.length, 1, faults.join("\n"));
  });

  test("finds commands that stand in the order in which they were not sent", () => {
    const swapped = [told[0], { ...accepted(2, "c3") }, accepted(3, "c2")].filter(
      (each) => each !== undefined,
    );
    assert.notEqual(
      linearFaults([create, { ...update, ifsequence: 2 }, destroy], swapped).length,
      0,
    );
  });

  test("finds a condition that did not hold", () => {
    assert.equal(linearFaults([create, { ...update, ifsequence: 2 }, destroy], told).length, 1);
  });
});

function event(sequence: number, type: string): Told {
  return { environmentId: "env_1", sequence, type, commandId: null };
}

function accepted(sequence: number, commandId: string): Told {
  return { ...event(sequence, "command.accepted"), commandId };
}

function seen(sequence: number, status: string, value: string): Operation["answer"] {
  return { is: "seen", at: { id: "env_1", sequence, status, value } };
}

function operation(
  kind: Operation["kind"],
  [beganMs, answeredMs]: readonly [number, number],
  answer: Operation["answer"],
): Operation {
  return { kind, beganMs, answeredMs, answer };
}
