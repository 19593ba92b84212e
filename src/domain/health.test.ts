import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sampleGroup, sampleTemplate } from "../testing/samples.ts";
import { checkDefaults, type Check, type CheckState } from "./check.ts";
import {
  checkStatesOf,
  environmentHealth,
  groupHealths,
  healthOf,
  isFollowed,
  resourceHealth,
} from "./health.ts";

const check: Check = { description: "", probe: { tcp: "x:1" }, ...checkDefaults };
const resource = {
  name: "Server",
  description: "",
  tags: {},
  count: 1,
  links: {},
  checks: { home: check },
  dependsOn: [],
};
const body = sampleTemplate(
  {
    web: sampleGroup({ resources: { server: resource } }),
    cache: sampleGroup({ resources: { node: resource } }),
    silent: sampleGroup(),
  },
  { checks: { shop: check } },
);

function states(of: Readonly<Record<string, Partial<CheckState>>>) {
  return checkStatesOf(
    Object.entries(of).map(([key, more]) => ({
      environmentId: "env_1",
      key,
      status: "passing",
      detail: "fine",
      target: `${key}:1`,
      checkedAt: null,
      lost: null,
      ...more,
    })),
  );
}

const all = { shop: {}, "web.server.home": {}, "cache.node.home": {} };

describe("the health of an environment", () => {
  test("is well when all its checks pass, its groups and resources with them", () => {
    const seen = states(all);
    assert.deepEqual(environmentHealth(body, seen), { status: "healthy", reason: null });
    assert.equal(groupHealths(body, seen).get("web")?.status, "healthy");
    assert.equal(resourceHealth({ checks: ["web.server.home"] }, seen)?.status, "healthy");
  });

  test("goes from a check to its resource, its group and the environment, with the reason", () => {
    const seen = states({ ...all, "web.server.home": { status: "failing", detail: "HTTP 503" } });
    const reason = "check web.server.home (web.server.home:1): HTTP 503";
    const ill = { status: "unhealthy", reason };
    assert.deepEqual(resourceHealth({ checks: ["web.server.home"] }, seen), ill);
    assert.deepEqual(groupHealths(body, seen).get("web"), ill);
    assert.deepEqual(environmentHealth(body, seen), { ...ill, reason: `group web: ${reason}` });
    assert.equal(groupHealths(body, seen).get("cache")?.status, "healthy");
  });

  test("is not known while a check was never looked at, and there is none without checks", () => {
    const { shop, ...others } = all;
    assert.deepEqual(shop, {});
    assert.equal(environmentHealth(body, states(others))?.status, "unknown");
    assert.equal(groupHealths(body, states(all)).has("silent"), false);
    assert.equal(healthOf([], states(all)), null);
  });

  test("is what was seen last while its checks cannot be looked at, and says why", () => {
    const lost = "Consul cannot be asked: connection refused";
    const seen = states({ ...all, shop: { lost }, "web.server.home": { lost } });
    const { status, reason } = environmentHealth(body, seen) ?? {};
    assert.equal(status, "healthy");
    assert.equal(reason, `checks shop, web.server.home as last seen: ${lost}`);
  });

  test("takes no notice of checks that its template does not have any more", () => {
    const seen = states({ ...all, old: { status: "failing" } });
    assert.equal(environmentHealth(body, seen)?.status, "healthy");
  });
});

describe("an environment is followed", () => {
  const made = { generation: 2, appliedGeneration: 2 } as const;
  test("once all that is wanted was made, whatever its checks said", () => {
    assert.ok(isFollowed({ ...made, status: "deployed-ok" }));
    assert.ok(isFollowed({ ...made, status: "deployed-failed" }));
  });

  test("neither while something is under way nor when its last apply failed", () => {
    for (const status of ["deploying", "deployed-validating", "destroying", "destroyed"] as const)
      assert.equal(isFollowed({ ...made, status }), false);
    assert.equal(
      isFollowed({ generation: 2, appliedGeneration: 1, status: "deployed-failed" }),
      false,
    );
  });
});
