import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTrace } from "./trace-context.ts";

const id = "0af7651916cd43dd8448eb211c80319c";

test("a trace context of the W3C's form is taken with its id", () => {
  const parent = `00-${id}-b7ad6b7169203331-01`;
  assert.deepEqual(parseTrace(parent), { id, parent });
});

test("anything else is no trace: another form, zeros, no text", () => {
  for (const given of [`00-${id}`, `00-${"0".repeat(32)}-b7ad6b7169203331-01`, 7, null, undefined])
    assert.equal(parseTrace(given), null);
});
