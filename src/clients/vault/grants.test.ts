import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GlasshouseError } from "../../domain/errors.ts";
import { covers, grantedIn, refuseUngranted } from "./grants.ts";

const granted = grantedIn({
  "*": { paths: ["secret/shared/*"], roles: [] },
  shop: { paths: ["secret/shop/tls"], roles: ["pki/web", "inner/*"] },
});

function isRefused(template: string, kind: "paths" | "roles", whole: string): boolean {
  try {
    refuseUngranted(granted, { template, what: "group web", kind, whole });
    return false;
  } catch (error) {
    assert.ok(error instanceof GlasshouseError && error.code === "forbidden");
    assert.match(error.message, /group web.*vault\.grants/u);
    return true;
  }
}

describe("what templates may use of Vault", () => {
  test("is everything where nothing is said", () => {
    const of = { template: "any", what: "group web", kind: "paths", whole: "secret/x" } as const;
    refuseUngranted(grantedIn(null), of);
  });

  test("is what is granted to all of them and to the template itself", () => {
    assert.equal(isRefused("shop", "paths", "secret/shop/tls"), false);
    assert.equal(isRefused("shop", "paths", "secret/shared/a/b"), false);
    assert.equal(isRefused("shop", "roles", "pki/web"), false);
    assert.equal(isRefused("shop", "roles", "inner/anything"), false);
    assert.equal(isRefused("other", "paths", "secret/shared/a"), false);
  });

  test("is nothing else, not even what begins alike", () => {
    assert.equal(isRefused("shop", "paths", "secret/shop/tls2"), true);
    assert.equal(isRefused("shop", "paths", "secret/shared"), true);
    assert.equal(isRefused("shop", "roles", "pki/web2"), true);
    assert.equal(isRefused("other", "paths", "secret/shop/tls"), true);
    assert.equal(isRefused("other", "roles", "pki/web"), true);
    assert.equal(isRefused("*", "roles", "pki/web"), true);
  });

  test("a pattern ends at a part of the path", () => {
    assert.equal(covers("secret/shop/*", "secret/shopping/x"), false);
    assert.equal(covers("secret/*", "secret/x"), true);
  });
});
