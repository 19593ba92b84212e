import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Json } from "../../../lib/json.ts";
import { parseSettings, validateSettings } from "./settings.ts";

const defaults = { mount: "secret", pki: "pki" };
const right = { path: "shop/tls", role: "web", commonName: "shop.example.com" };
const day = 86_400_000;

describe("the settings of a certificate", () => {
  test("have defaults for where, for how long, and when another one is due", () => {
    assert.deepEqual(parseSettings("tls", right, defaults), {
      place: { mount: "secret", path: "shop/tls" },
      pki: "pki",
      wish: {
        role: "web",
        commonName: "shop.example.com",
        altNames: ["shop.example.com"],
        ttlMs: 30 * day,
        renewBeforeMs: 10 * day,
      },
    });
  });

  test("that are mistaken are told by their place, with a way out", () => {
    const mistakes: readonly (readonly [object, string, RegExp])[] = [
      [{ path: "shop//tls" }, "/path", /none of them empty/u],
      [{ path: "../tls" }, "/path", /none of them empty/u],
      [{ altNames: ["api.example.com", "a b"] }, "/altNames/1", /host name, IP address or URI/u],
      [{ role: "../web" }, "/role", /name of a role of Vault's PKI engine/u],
      [{ ttl: "soon" }, "/ttl", /a time such as 720h/u],
      [{ renewBefore: "2 days" }, "/renewBefore", /a time such as 720h/u],
      [{ ttl: "30m" }, "/ttl", /lengthen ttl/u],
      [{ ttl: "2h", renewBefore: "90m" }, "/renewBefore", /at least 1h of ttl/u],
      [{ altNames: Array.from({ length: 101 }, () => "a") }, "/altNames", /more than 100/u],
    ];
    for (const [wrong, pointer, words] of mistakes) {
      const settings: Json = JSON.parse(JSON.stringify({ ...right, ...wrong }));
      const [first] = validateSettings(settings);
      assert.equal(first?.pointer, pointer);
      assert.match(first.message, words);
    }
    assert.deepEqual(validateSettings(right), []);
  });

  test("that hold expressions are judged when these are evaluated", () => {
    const open = { ...right, path: "${{ a }}//x", altNames: ["${{ b }}"], ttl: "${{ c }}" };
    assert.deepEqual(validateSettings(open), []);
    const late: readonly (readonly [object, RegExp])[] = [
      [{ path: "a//b" }, /none of them empty/u],
      [{ role: "../x" }, /must be the name of a role/u],
      [{ ttl: "soon" }, /must be a time/u],
      [{ ttl: "30m" }, /at least 1h/u],
      [{ altNames: ["a b"] }, /certificate tls cannot be issued.*no host name/u],
      [{ commonName: "" }, /it gives no text/u],
      [{ altNames: "a" }, /do not fit/u],
    ];
    for (const [wrong, words] of late)
      assert.throws(() => parseSettings("tls", { ...right, ...wrong }, defaults), words);
  });
});
