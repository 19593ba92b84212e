import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { consulSkip } from "../../support/consul-program.ts";
import { consulVariables } from "../../support/consul-site.ts";
import { Consul } from "../../support/consul.ts";
import { TestServer, testDirectory } from "../../support/server.ts";
import { Site } from "../../support/site.ts";

describe("values of the configuration in Consul's keys", { skip: consulSkip }, () => {
  let consul: Consul;
  let token: string;
  before(async () => {
    consul = await Consul.start();
    token = await consul.newToken('key_prefix "servers/" { policy = "read" }');
    await consul.put("servers/region", "westeurope\n");
    await consul.put("servers/cloud", JSON.stringify({ account: "a-1", limit: 7, nested: {} }));
    await consul.put("hidden/region", "northeurope");
  });
  after(() => consul.close());

  const variables = (grants: string, given = token) =>
    consulVariables(consul, given, { env: { GLASSHOUSE_EXECUTORS_COMMAND_ENV: grants } });

  test("are looked up when the server starts, whole or by the member of an object", async () => {
    const grants =
      "REGION=consul:kv/servers/region,ACCOUNT=consul:kv/servers/cloud#account,LIMIT=consul:kv/servers/cloud#limit";
    const site = await Site.open({ env: variables(grants) });
    try {
      const print = '#!/bin/sh\nprintf "%s %s %s" "$REGION" "$ACCOUNT" "$LIMIT" > "$1/seen"\n';
      const create = ["./print", site.outside.directory];
      await site.register({
        name: "granted",
        groups: { a: { more: { executor: "command", outputs: [], with: { create } } } },
        files: { print },
      });
      const run = await site.create("granted", "granted");
      assert.equal(run.status, "succeeded", run.reason ?? "");
      assert.equal(await site.outside.read("seen"), "westeurope a-1 7");
    } finally {
      await site.close();
    }
  });

  test("that lead nowhere stop the start, by their reference and with the way out", async () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ["consul:kv/servers/none", /consul:kv\/servers\/none leads nowhere: Consul has no key/u],
      ["consul:kv/servers/region#a", /value is no JSON object/u],
      ["consul:kv/servers/cloud#nested", /has no text or number nested/u],
      ["consul:kv/hidden/region", /Consul has no key|permission denied/iu],
      ["consul:kv/#", /write consul:kv\/<key>/u],
    ];
    for (const [reference, words] of cases)
      assert.match(await refused(variables(`A=${reference}`)), words, reference);
  });

  test("need a Consul, and cannot say how to get there", async () => {
    const env = { GLASSHOUSE_EXECUTORS_COMMAND_ENV: "A=consul:kv/servers/region" };
    assert.match(await refused(env), /executors\.command\.env\.A.*needs consul\.address/u);
    const own = {
      ...consulVariables(consul, token),
      GLASSHOUSE_CONSUL_TOKEN: "consul:kv/servers/x",
    };
    assert.match(await refused({ ...own, ...env }), /consul\.token.*cannot say how to get there/u);
  });
});

/** What a start with this says. */
async function refused(env: Readonly<Record<string, string>>): Promise<string> {
  const { path, remove } = await testDirectory();
  const failure = await TestServer.start({ data: path, env }).then(
    (server) => (server.kill(), "it has started"),
    (error: unknown) => String(error),
  );
  await remove();
  return failure;
}
