import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { configSchema } from "../contract/config.ts";
import { moduleHosts } from "./module-hosts.ts";

const variables = { GIT_WORD: "one", "vault:secret/registry#token": "two" };

function configured(hosts: object, templates: object = {}) {
  return configSchema.parse({ executors: { terraform: { hosts, templates } } }).executors.terraform;
}

describe("logins for module hosts", () => {
  test("are looked up, and those of one template replace what all have for the same host", async () => {
    const of = await moduleHosts(
      configured(
        {
          "git.example.com": { password: "env:GIT_WORD" },
          "registry.example.com": { token: "vault:secret/registry#token" },
        },
        { shop: { hosts: { "git.example.com": { username: "shop", password: "plain" } } } },
      ),
      variables,
    );
    const tokens = [{ host: "registry.example.com", token: "two" }];
    const login = { host: "git.example.com", username: "git", password: "one" };
    assert.deepEqual(of("other"), { logins: [login], tokens });
    const own = { ...login, username: "shop", password: "plain" };
    assert.deepEqual(of("shop"), { logins: [own], tokens });
  });

  test("are refused by name where they lead nowhere or say nothing", async () => {
    const lost = configured({ "git.example.com": { password: "env:NO_SUCH" } });
    await assert.rejects(
      moduleHosts(lost, variables),
      /executors\.terraform\.hosts\.git\.example\.com\.password: there is no environment variable/u,
    );
    assert.throws(() => configured({ "git.example.com": { username: "x" } }), /for a registry/u);
    assert.throws(() => configured({ "https://x": { password: "x" } }), /host:port/u);
  });
});
