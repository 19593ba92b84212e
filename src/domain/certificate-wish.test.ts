import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { certificateWish } from "./certificate-declared.ts";
import type { CertificateDeclaration } from "./certificate.ts";
import { nameKind, renewalOf } from "./certificate-wish.ts";
import { GlasshouseError } from "./errors.ts";
import type { Scope } from "./expression.ts";

const day = 86_400_000;
const scope: Scope = {
  parameters: { zone: "example.com", count: 3 },
  environment: { id: "env_1", name: "shop", tags: {} },
  groups: { web: { outputs: { ip: "10.0.0.7", key: { $secret: "sec_1", fingerprint: "f" } } } },
  requires: {},
  entrypoints: {},
};

function declared(more: Partial<CertificateDeclaration>): CertificateDeclaration {
  return {
    description: "",
    role: "web",
    commonName: "shop.example.com",
    altNames: [],
    ttlMs: 30 * day,
    renewBeforeMs: 10 * day,
    inputs: [],
    ...more,
  };
}

describe("what is asked of an authority", () => {
  test("has its names filled in, the common name first among the others and none twice", () => {
    const wish = certificateWish(
      "tls",
      declared({
        commonName: "${{ environment.name }}.${{ parameters.zone }}",
        altNames: ["${{ groups.web.outputs.ip }}", "shop.example.com", "spiffe://example.com/shop"],
      }),
      scope,
    );
    assert.equal(wish.commonName, "shop.example.com");
    assert.deepEqual(wish.altNames, ["shop.example.com", "10.0.0.7", "spiffe://example.com/shop"]);
  });

  test("may be for something that is no host", () => {
    const wish = certificateWish("tls", declared({ commonName: "The shop" }), scope);
    assert.deepEqual([wish.commonName, wish.altNames], ["The shop", []]);
  });

  for (const [what, more, words] of [
    ["is longer than a certificate can bear", { commonName: "a".repeat(65) }, /more than 64/u],
    ["holds a line break", { commonName: "a\nb" }, /control characters/u],
    ["is a secret", { commonName: "${{ groups.web.outputs.key }}" }, /not secret/u],
    ["is no text", { commonName: "${{ parameters.count }}" }, /gives no text/u],
    ["is no name", { altNames: ["x${{ environment.name }} y"] }, /"xshop y" is no host name/u],
  ] as const) {
    test(`a name that ${what} is refused, and says of which certificate`, () => {
      assert.throws(
        () => certificateWish("tls", declared(more), scope),
        (error) =>
          error instanceof GlasshouseError &&
          error.code === "step-failed" &&
          error.message.startsWith("The certificate tls cannot be issued") &&
          words.test(error.message),
      );
    });
  }

  test("names are told apart", () => {
    for (const text of ["a", "a.example.com", "*.example.com", "_x.y", "A-b.C", "1.example"])
      assert.equal(nameKind(text), "dns", text);
    for (const text of ["10.0.0.1", "255.255.255.255", "::1", "2001:db8::7", "::ffff:1.2.3.4"])
      assert.equal(nameKind(text), "ip", text);
    for (const text of ["spiffe://a/b", "https://example.com"]) assert.equal(nameKind(text), "url");
    for (const text of [
      "",
      "a b",
      "-a",
      "a..b",
      "a.*.b",
      "a:b",
      "x".repeat(64),
      "a,b",
      "a/b",
      "1:2:z",
    ])
      assert.equal(nameKind(text), null, text);
  });
});

describe("when the next one is due", () => {
  const from = "2026-01-01T00:00:00.000Z";
  const until = (days: number): string => new Date(Date.parse(from) + days * day).toISOString();
  const asked = { ttlMs: 30 * day, renewBeforeMs: 20 * day };

  test("is as long before its end as was asked for", () => {
    assert.equal(renewalOf({ notBefore: from, notAfter: until(30) }, asked), until(10));
  });

  test("is at two thirds of what there is when an authority gives less", () => {
    assert.equal(renewalOf({ notBefore: from, notAfter: until(3) }, asked), until(2));
  });
});
