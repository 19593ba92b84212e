import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { Mask } from "./mask.ts";

test("masks a value as it is, in JSON, URL, hex and base64 forms", () => {
  const secret = 'p/w "quoted"\u00e9+x';
  const mask = new Mask();
  mask.add(secret);
  const forms = [
    secret,
    JSON.stringify(secret),
    encodeURIComponent(secret),
    Buffer.from(secret).toString("hex"),
    Buffer.from(secret).toString("base64"),
  ];
  for (const form of forms) assert.ok(mask.apply(`a ${form} b`).includes("(secret)"), form);
});

test("masks a value inside a longer base64 text, wherever it starts", () => {
  const mask = new Mask();
  mask.add("correct-horse-battery-staple");
  for (const before of ["", "u", "us", "use", "user:"]) {
    const text = Buffer.from(`${before}correct-horse-battery-staple@host`).toString("base64");
    assert.ok(mask.apply(text).includes("(secret)"), before);
  }
});

test("masks each line of a value with several", () => {
  const mask = new Mask();
  mask.add("-----BEGIN KEY-----\nabcdefgh\nijklmnop\n-----END KEY-----");
  assert.equal(mask.apply("it says ijklmnop here"), "it says (secret) here");
});

test("masks the longer of two values that share a beginning", () => {
  const mask = new Mask();
  mask.add("hunter");
  mask.add("hunter-two");
  assert.equal(mask.apply("hunter-two"), "(secret)");
});

test("leaves values shorter than four characters alone", () => {
  const mask = new Mask();
  mask.add("abc");
  assert.equal(mask.apply("abc abc"), "abc abc");
});

test("never lets a value of eight or more characters through", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 8 }), fc.string(), fc.string(), (secret, before, after) => {
      const mask = new Mask("\u0000");
      mask.add(secret);
      assert.ok(!mask.apply(before + secret + after).includes(secret));
    }),
  );
});

test("masks the forms of other languages' JSON, of forms and of lower-case escapes", () => {
  const secret = 'p<ss"w&rd/+ 1';
  const mask = new Mask();
  mask.add(secret);
  const json = JSON.stringify(secret);
  const go = json.replaceAll("<", "\\u003c").replaceAll("&", "\\u0026");
  const url = encodeURIComponent(secret);
  const form = new URLSearchParams({ secret }).toString();
  for (const text of [JSON.stringify(json), go, JSON.stringify(go), url.toLowerCase(), form])
    assert.match(mask.apply(`a ${text} b`), /^a \S*\(secret\)\S* b$/u, text);
});

test("takes letters that mean something in patterns as they are", () => {
  const mask = new Mask();
  mask.add("a.*(b)[c]$");
  assert.equal(mask.apply("xa.*(b)[c]$x axxbc"), "x(secret)x axxbc");
});

test("never cuts a long text within a value", () => {
  const mask = new Mask();
  mask.add("0123456789");
  for (let before = 0; before < 60; before += 1) {
    const text = `${"x".repeat(before)}0123456789${"y".repeat(60 - before)}`;
    const at = mask.cut(text);
    assert.ok(at > 0 || before === 0);
    const shown = mask.apply(text.slice(0, at)) + mask.apply(text.slice(at));
    assert.doesNotMatch(shown, /\d/u, String(before));
  }
});
