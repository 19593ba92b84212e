import { basename, dirname } from "node:path";
import { after } from "node:test";
import { consulKvExecutor } from "../../../src/adapters/executors/consul-kv/index.ts";
import { testExecutor } from "../../../src/testing/executor-contract.ts";
import { consulClient } from "../../support/consul-client.ts";
import { consulSkip } from "../../support/consul-program.ts";
import { Consul } from "../../support/consul.ts";

const consul = consulSkip === false ? await Consul.start() : null;
after(() => consul?.close());

const prefixOf = (world: string): string => `test/${basename(dirname(world))}/`;

testExecutor({
  name: "consul-kv",
  skip: consulSkip,
  executor: () => {
    if (consul === null) throw new Error("there is no Consul");
    const client = consulClient({ url: consul.url(), token: consul.token });
    return Promise.resolve(consulKvExecutor({ client, datacenter: null }));
  },
  thing: (world, word) => ({
    settings: { prefix: prefixOf(world), keys: { thing: word, word } },
    files: {},
    outputs: ["word"],
  }),
  look: async (world) => {
    const prefix = prefixOf(world);
    const keys = Object.entries((await consul?.keys(prefix)) ?? {});
    return Object.fromEntries(keys.map(([key, value]) => [key.slice(prefix.length), value]));
  },
  tamper: async (world) => consul?.put(`${prefixOf(world)}thing`, "another"),
  processes: null,
});
