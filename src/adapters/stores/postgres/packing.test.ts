import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Answer, Parameter } from "../../../clients/postgres/connection.ts";
import { insertEdge } from "../sql/step-insert.ts";
import { selectRecord } from "../sql/record.ts";
import { storeSequence } from "../sql/event.ts";
import { Packing } from "./packing.ts";

interface Sent {
  readonly sql: string;
  readonly values: readonly Parameter[];
}

function sentBy(
  packing: Packing,
  { rows, whose }: Pick<Answer<object>, "rows" | "whose"> = { rows: [] },
): readonly Sent[] {
  const sent: Sent[] = [];
  packing.sendAll(async (sql, values) => {
    sent.push({ sql, values });
    return { rows, count: rows.length, command: "", ...(whose === undefined ? {} : { whose }) };
  });
  return sent;
}

describe("statements that wait to be sent", () => {
  it("become one when they say the same, with each parameter as an array", () => {
    const packing = new Packing();
    for (const n of [1, 2, 3]) void packing.add({}, insertEdge.sql, ["run", `a${n}`, `b${n}`]);
    const sent = sentBy(packing);
    assert.deepEqual(
      sent.map(({ values }) => values),
      [
        [
          ["run", "run", "run"],
          ["a1", "a2", "a3"],
          ["b1", "b2", "b3"],
        ],
      ],
    );
    assert.match(String(sent[0]?.sql), /select .* from unnest\(.*on conflict do nothing/su);
    assert.ok(packing.isEmpty);
  });

  it("stay as they are when one comes alone, or nobody knows how to say them together", () => {
    const packing = new Packing();
    void packing.add({}, insertEdge.sql, ["run", "a", "b"]);
    for (const n of [1, 2]) void packing.add({}, "select ?", [n]);
    assert.deepEqual(sentBy(packing), [
      { sql: insertEdge.sql, values: ["run", "a", "b"] },
      { sql: "select ?", values: [1] },
      { sql: "select ?", values: [2] },
    ]);
  });

  it("keep the order of each one that asks", () => {
    const packing = new Packing();
    const [one, two] = [{}, {}];
    void packing.add(one, insertEdge.sql, ["run", "a", "b"]);
    void packing.add(one, "first", []);
    void packing.add(one, insertEdge.sql, ["run", "c", "d"]);
    void packing.add(two, "second", []);
    void packing.add(two, insertEdge.sql, ["run", "e", "f"]);
    const sent = sentBy(packing);
    assert.equal(sent.length, 5);
    const places = new Map(
      sent.map(({ sql, values }, at) => [`${sql} ${values[1]?.toString()}`, at]),
    );
    const at = (of: string): number => places.get(of) ?? Number.NaN;
    assert.ok(at(`${insertEdge.sql} a`) < at("first undefined"));
    assert.ok(at("first undefined") < at(`${insertEdge.sql} c`));
    assert.ok(at("second undefined") < at(`${insertEdge.sql} e`));
  });

  it("are not put together when they change the same row", () => {
    const packing = new Packing();
    const by = {};
    for (const sequence of [1, 2]) void packing.add(by, storeSequence.sql, [sequence, "e1"]);
    void packing.add({}, storeSequence.sql, [5, "e2"]);
    const sent = sentBy(packing);
    assert.deepEqual(
      sent.map(({ values }) => values),
      [
        [
          [1, 5],
          ["e1", "e2"],
        ],
        [2, "e1"],
      ],
    );
  });

  it("are bounded in what one holds", () => {
    const packing = new Packing();
    for (let n = 0; n < 1_200; n += 1) void packing.add({}, insertEdge.sql, ["run", `${n}`, "b"]);
    const lengths = sentBy(packing).map(({ values: [first] }) =>
      Array.isArray(first) ? first.length : 1,
    );
    assert.deepEqual(lengths, [500, 500, 200]);
  });

  it("give each one its own rows, and an error to all of them", async () => {
    const packing = new Packing();
    const asked = ["a", "b", "c"].map((group) =>
      packing.add({}, selectRecord.sql, ["e", "t", group]),
    );
    sentBy(packing, { rows: [{ group: "c" }, { group: "a" }], whose: [3, 1] });
    const answers = await Promise.all(asked);
    assert.deepEqual(
      answers.map(({ rows }) => rows),
      [[{ group: "a" }], [], [{ group: "c" }]],
    );
    const failing = ["a", "b"].map((group) => packing.add({}, selectRecord.sql, ["e", "t", group]));
    packing.sendAll(() => Promise.reject(new Error("refused")));
    for (const one of failing) await assert.rejects(one, /refused/u);
  });
});
