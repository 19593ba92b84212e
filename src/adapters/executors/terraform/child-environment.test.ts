import assert from "node:assert/strict";
import { test } from "node:test";
import type { GlasshouseError } from "../../../domain/errors.ts";
import { checkGrants, childEnvironment } from "./child-environment.ts";
import { caseOf, makeGroup } from "./context.fixture.ts";

test("children get an allow-list, the grants, and who they act for", (t) => {
  const ctx = makeGroup(t, caseOf({})).context({ traceparent: "00-x" });
  const server = {
    PATH: "/bin",
    TF_CLI_CONFIG_FILE: "/theirs",
    TF_PLUGIN_CACHE_DIR: "/cache",
    TF_VAR_x: "no",
    TF_LOG: "trace",
    AWS_SECRET_ACCESS_KEY: "no",
    EMPTY: undefined,
  };
  const grants = { ARM_CLIENT_SECRET: { value: "yes", isSecret: true } };
  const { environment, owner } = ctx;
  assert.deepEqual(childEnvironment({ server, grants, cliConfigFile: "/ours", ctx }), {
    PATH: "/bin",
    TF_CLI_CONFIG_FILE: "/ours",
    TF_PLUGIN_CACHE_DIR: "/cache",
    ARM_CLIENT_SECRET: "yes",
    TF_IN_AUTOMATION: "1",
    TF_INPUT: "0",
    CHECKPOINT_DISABLE: "1",
    GLASSHOUSE_ENVIRONMENT: environment.id,
    GLASSHOUSE_GROUP: "web",
    GLASSHOUSE_OWNER: owner,
    TRACEPARENT: "00-x",
  });
});

test("what would change commands or print secrets cannot be granted", () => {
  for (const name of [
    "TF_VAR_x",
    "TF_CLI_ARGS_apply",
    "TF_WORKSPACE",
    "TF_DATA_DIR",
    "TF_LOG_CORE",
  ]) {
    assert.throws(
      () => checkGrants({ [name]: "1" }),
      (error: GlasshouseError) =>
        error.code === "invalid-configuration" && error.message.includes(name),
    );
  }
  checkGrants({ TF_PLUGIN_CACHE_DIR: "/x", ARM_CLIENT_ID: "y" });
});
