import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Environment } from "./environment.ts";
import { environmentEventData } from "./event-data.ts";

const secret = { $secret: "sec_1", fingerprint: "f00d" };

function environment(of: Partial<Environment>): Environment {
  return {
    id: "env_1",
    name: "shop",
    description: "",
    tags: {},
    status: "deployed-ok",
    reason: null,
    failure: null,
    desired: {
      templates: [
        { templateId: "tpl_1", name: "t", version: "1.0.0", parameters: { token: secret, n: 1 } },
      ],
    },
    generation: 1,
    appliedGeneration: 1,
    activeRun: null,
    sequence: 1,
    outputs: {},
    entrypoints: {},
    requires: [],
    outdated: false,
    drifted: false,
    prospective: false,
    createdAt: "",
    updatedAt: "",
    plannedDestructionAt: null,
    destroyedAt: null,
    ...of,
  };
}

describe("the data of events", () => {
  test("masks secrets, references and fingerprints alike", () => {
    const outputs = { url: { $text: ["https://", secret, "@host"] }, plain: "shown" };
    const text = JSON.stringify(environmentEventData(environment({ outputs })));
    assert.ok(!text.includes("sec_1") && !text.includes("f00d"));
    assert.match(text, /"token":"\(secret\)","n":1/u);
    assert.match(text, /https:\/\/\(secret\)@host/u);
    assert.match(text, /shown/u);
  });

  test("leaves out what is larger than the bound, and says where it is read", () => {
    const data = environmentEventData(environment({ outputs: { big: "x".repeat(70_000) } }));
    assert.equal(data["outputs"], undefined);
    assert.equal(data["dataref"], "/api/v1/environments/env_1");
    assert.equal(environmentEventData(environment({}))["dataref"], undefined);
  });
});
