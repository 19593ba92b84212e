import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { consulKvExecutor } from "../../../src/adapters/executors/consul-kv/index.ts";
import { HttpConnection } from "../../../src/clients/http/connection.ts";
import { TestGroup } from "../../../src/testing/executor-group.ts";
import { consulClientOver } from "../../support/consul-client.ts";
import { consulSkip } from "../../support/consul-program.ts";
import { shopPolicy } from "../../support/consul-site.ts";
import { Consul } from "../../support/consul.ts";

const settings = (more: object = {}) => ({
  settings: { prefix: "shop/one/", keys: { a: "1", "b/c": "2", "d <&> ü": "3", ...more } },
  files: {},
  outputs: [],
});

describe("looks at keys that have not changed", { skip: consulSkip }, () => {
  let consul: Consul;
  let connection: HttpConnection;
  let executor: ReturnType<typeof consulKvExecutor>;
  let directory: string;
  const sent: string[] = [];
  before(async () => {
    consul = await Consul.start();
    directory = mkdtempSync(join(tmpdir(), "glasshouse-look-"));
    connection = new HttpConnection({ url: consul.url(), name: "Consul", connections: 4 });
    const send: HttpConnection["send"] = (request) => {
      sent.push(request.path);
      return connection.send(request);
    };
    const client = consulClientOver({ send }, await consul.newToken(shopPolicy));
    executor = consulKvExecutor({ client, datacenter: null });
  });
  after(async () => {
    await connection.close();
    await consul.close();
    rmSync(directory, { recursive: true });
  });

  test("ask for their names alone, and find every change that somebody makes", async () => {
    const group = new TestGroup(directory, settings());
    group.keep(await executor.apply(group.context()));
    const look = async () => {
      sent.length = 0;
      const { drift, observed } = await executor.observe(group.context());
      return [drift, observed.length, sent.map((path) => path.replace(/^.*\?/u, ""))];
    };
    assert.deepEqual(await look(), ["none", 3, ["recurse"]]);
    for (let times = 0; times < 3; times += 1)
      assert.deepEqual(await look(), ["none", 3, ["keys"]]);
    await consul.put("shop/one/a", "other");
    assert.deepEqual(await look(), ["drifted", 3, ["keys", "recurse"]]);
    // What has drifted is looked at in full until it has not.
    assert.deepEqual(await look(), ["drifted", 3, ["recurse"]]);
    group.found("drifted");
    group.keep(await executor.apply(group.context()));
    assert.deepEqual(await look(), ["none", 3, ["recurse"]]);
    await consul.remove("shop/one/b/c");
    const [drift] = await look();
    assert.equal(drift, "drifted");
    group.found("drifted");
    group.keep(await executor.apply(group.context()));
    assert.deepEqual(await look(), ["none", 3, ["recurse"]]);
    await consul.put("shop/one/of-somebody-else", "x");
    assert.deepEqual(await look(), ["none", 3, ["keys", "recurse"]]);
    assert.deepEqual(await look(), ["none", 3, ["keys"]]);
    group.change(settings({ e: "4" }));
    group.keep(await executor.apply(group.context()));
    assert.deepEqual(await look(), ["none", 4, ["recurse"]]);
    assert.deepEqual(await look(), ["none", 4, ["keys"]]);
  });
});
