import assert from "node:assert/strict";
import { test } from "node:test";
import { hclValue, variableFile } from "./hcl-value.ts";

test("every JSON type has its HCL form", () => {
  assert.equal(
    variableFile({ a: "x", b: 1.5, c: true, d: null, e: [1, "two", []], f: { k: { "a b": -3 } } }),
    'a = "x"\nb = 1.5\nc = true\nd = null\ne = [1, "two", []]\nf = {"k" = {"a b" = -3}}\n',
  );
});

test("template markers lose their meaning, also after another dollar sign", () => {
  assert.equal(
    hclValue("${file(1)} %{if} $${x} $ % {"),
    '"\\u0024{file(1)} \\u0025{if} $\\u0024{x} $ % {"',
  );
});

test("quotes, backslashes, newlines and control characters cannot end the string", () => {
  assert.equal(hclValue('a"b\\c\nd\u0000\r'), '"a\\"b\\\\c\\nd\\u0000\\u000d"');
});

test("keys of objects are escaped like values", () => {
  assert.equal(hclValue({ '${x}"': 1 }), '{"\\u0024{x}\\"" = 1}');
});

test("a lone surrogate becomes the replacement character", () => {
  assert.equal(hclValue("\ud800x"), '"\ufffdx"');
});
