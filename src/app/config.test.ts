import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { GlasshouseError, type ErrorCode } from "../domain/errors.ts";
import { resolveGrants } from "./config-grants.ts";
import { configKeys } from "./config-keys.ts";
import { refuseIdleRoles } from "./config-roles.ts";
import { listenAddress, ownNames } from "./config-listen.ts";
import { configRows } from "./config-show.ts";
import { loadConfig, type ConfigInput, type LoadedConfig } from "./config.ts";

const cwd = await mkdtemp(join(tmpdir(), "glasshouse-config-"));
after(() => rm(cwd, { recursive: true, force: true }));

async function load(input: Partial<ConfigInput>, file?: string): Promise<LoadedConfig> {
  const directory = await mkdtemp(join(cwd, "c"));
  if (file !== undefined) await writeFile(join(directory, "glasshouse.yaml"), file);
  return loadConfig({ flags: {}, env: {}, cwd: directory, ...input });
}

async function fails(
  loading: Promise<unknown>,
  code: ErrorCode = "invalid-configuration",
): Promise<GlasshouseError> {
  const error: unknown = await loading.then(
    () => null,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof GlasshouseError, String(error));
  assert.equal(error.code, code, error.message);
  return error;
}

describe("the configuration", () => {
  test("needs nothing", async () => {
    const { config, file } = await load({ cwd });
    assert.equal(config.listen, "127.0.0.1:8080");
    assert.equal(config.data, join(cwd, ".glasshouse"));
    assert.equal(config.engine.parallelism, 10);
    assert.equal(config.retention.eventsMs, 90 * 86_400_000);
    assert.equal(file, null);
  });

  test("takes a flag before a variable before the file before the default", async () => {
    const file = "listen: 127.0.0.1:1\ntelemetry:\n  level: error\n  format: json\n";
    const env = { GLASSHOUSE_LISTEN: "127.0.0.1:2", GLASSHOUSE_TELEMETRY_LEVEL: "warn" };
    const { config, values } = await load({ env, flags: { listen: "127.0.0.1:3" } }, file);
    assert.equal(config.listen, "127.0.0.1:3");
    assert.equal(config.telemetry.level, "warn");
    assert.equal(config.telemetry.format, "json");
    const origin = (key: string): string | undefined =>
      values.find((value) => value.key.key === key)?.origin;
    assert.equal(origin("listen"), "--listen");
    assert.equal(origin("telemetry.level"), "GLASSHOUSE_TELEMETRY_LEVEL");
    assert.match(origin("telemetry.format") ?? "", /glasshouse\.yaml:4:3$/u);
    assert.equal(origin("engine.places"), "default");
  });

  test("takes roles and labels as lists, and refuses those that are none", async () => {
    const env = { GLASSHOUSE_ROLES: "worker" };
    const flags = { "engine-labels": ["gpu,eu", "ssd"] };
    const { config } = await load({ env, flags });
    assert.deepEqual(config.roles, ["worker"]);
    assert.deepEqual(config.engine.labels, ["gpu", "eu", "ssd"]);
    assert.deepEqual((await load({})).config.roles, ["api", "worker"]);
    const messages = async (file: string): Promise<string> => {
      const { message, details } = await fails(load({}, file));
      return [message, ...details.map((detail) => detail.message)].join("\n");
    };
    assert.match(await messages("roles: [api, boss]\n"), /roles\.1 must be api or worker/u);
    assert.match(await messages("roles: []\n"), /at least one of api and worker/u);
    assert.match(await messages("roles: [api, api]\n"), /must not name a role twice/u);
    assert.match(await messages("engine: { labels: [GPU] }\n"), /must be small letters/u);
    assert.match(await messages("engine: { labels: [a, a] }\n"), /must not name a label twice/u);
  });

  test("refuses a server on SQLite that would not work", async () => {
    const { config } = await load({ flags: { roles: ["api"] } });
    assert.throws(() => refuseIdleRoles(config), /With SQLite the roles must include worker/u);
    refuseIdleRoles({ ...config, roles: ["worker"] });
    refuseIdleRoles({ ...config, store: { ...config.store, url: "postgres://db.example.com/g" } });
  });

  test("says where its only mistake is", async () => {
    const { message } = await fails(load({}, "listen: 127.0.0.1:1\nengin: {}\n"));
    assert.match(
      message,
      /a mistake at \S*glasshouse\.yaml:2:1: there is no key engin; did you mean/u,
    );
    const flag = await fails(load({ flags: { "engine-places": "many" } }));
    assert.match(flag.message, /a mistake at --engine-places: /u);
  });

  test("names each key by one rule in file, variable and flag", () => {
    const key = configKeys.find((known) => known.key === "security.allowedHosts");
    assert.equal(key?.variable, "GLASSHOUSE_SECURITY_ALLOWED_HOSTS");
    assert.equal(key.flag, "--security-allowed-hosts");
    assert.equal(new Set(configKeys.map((known) => known.variable)).size, configKeys.length);
    assert.deepEqual(
      configKeys.filter((known) => known.description === ""),
      [],
    );
  });

  test("refuses unknown keys of the file with their place and the nearest key", async () => {
    const error = await fails(load({}, "lisen: 127.0.0.1:1\nstore:\n  uri: sqlite\n"));
    assert.deepEqual(
      error.details.map(({ message, place }) => [message, place?.split("/").at(-1)]),
      [
        ["there is no key lisen; did you mean listen?", "glasshouse.yaml:1:1"],
        ["there is no key store.uri; did you mean url?", "glasshouse.yaml:3:3"],
      ],
    );
  });

  test("names every wrong value and where it came from", async () => {
    const env = { GLASSHOUSE_ENGINE_PLACES: "many", GLASSHOUSE_RETENTION_EVENTS: "3 weeks" };
    const flags = { listen: "8080" };
    const error = await fails(load({ env, flags }, "engine:\n  parallelism: 0\n"));
    const found = error.details.map(
      ({ message, place }) => `${place?.split("/").at(-1)} ${message}`,
    );
    assert.deepEqual(found.toSorted(), [
      "--listen listen must be host:port, such as 127.0.0.1:8080",
      "GLASSHOUSE_ENGINE_PLACES engine.places must be a whole number",
      'GLASSHOUSE_RETENTION_EVENTS retention.events must be a duration such as "90d"',
      "glasshouse.yaml:2:3 engine.parallelism must be at least 1",
    ]);
  });

  test("refuses a file that is no mapping, malformed, aliased or has a key twice", async () => {
    for (const [text, words] of [
      ["- a\n", /must be a mapping/u],
      ["store: 5\n", /store must be a mapping/u],
      ["listen: [\n", /glasshouse\.yaml:/u],
      ["data: a\ndata: b\n", /unique/u],
      ["data: &x a\nlisten: *x\n", /aliases/u],
    ] as const) {
      const error = await fails(load({}, text));
      assert.match(JSON.stringify(error.details), words, text);
    }
  });

  test("takes a database for the state, but no password in its address", async () => {
    const url = "postgres://glasshouse@db-1,db-2:5433/glasshouse?sslmode=verify-full";
    const { config } = await load({}, `store: { url: "${url}", password: "file:pw", pool: 5 }\n`);
    assert.deepEqual(config.store, { url, password: "file:pw", pool: 5, tls: {} });
    for (const wrong of ["postgres://u:p@h/d", "mysql://h/d", "postgres://", "sqlite:x"]) {
      const error = await fails(load({ env: { GLASSHOUSE_STORE_URL: wrong } }));
      assert.match(error.message, /store\.url must/u, wrong);
      assert.ok(!error.message.includes("u:p"));
    }
  });

  test("refuses a file that is named and not there, and one that cannot be read", async () => {
    assert.match((await fails(load({ flags: { config: "no.yaml" } }))).message, /no\.yaml/u);
    assert.match((await fails(load({ flags: { config: "/" } }))).message, /cannot be read/u);
  });

  test("refuses what later versions bring, by name", async () => {
    const error = await fails(
      load({ env: { GLASSHOUSE_CLUSTER_PRIMARY: "true" } }, "cluster:\n  location: here\n"),
      "not-available",
    );
    const words = "cluster.primary, cluster.location are not available in this version.";
    assert.equal(error.message, words);
  });

  test("reads no other variable, and lists those that look meant for it", async () => {
    const { config, ignored } = await load({
      env: {
        GLASSHOUSE_PORT: "tcp://10.0.0.1:80",
        GLASSHOUSE_SERVICE_HOST: "10.0.0.1",
        GLASSHOUSE_SERVER: "http://x",
        GLASSHOUSE_LISTEN: "",
        HOME: "/root",
      },
    });
    assert.equal(config.listen, "127.0.0.1:8080");
    assert.deepEqual(ignored, ["GLASSHOUSE_PORT", "GLASSHOUSE_SERVICE_HOST"]);
  });

  test("takes paths of the file relative to the file, others relative to the working directory", async () => {
    const { config, file } = await load({}, "data: here\nsecurity: { key: ../key }\n");
    assert.equal(config.data, join(file ?? "", "../here"));
    assert.equal(config.security.key, join(file ?? "", "../../key"));
    assert.equal((await load({ cwd, flags: { data: "d" } })).config.data, join(cwd, "d"));
  });

  test("takes lists and maps from variables and flags", async () => {
    const { config } = await load({
      env: { GLASSHOUSE_SECURITY_ALLOWED_HOSTS: "a.example, b.example" },
      flags: {
        "executors-terraform-env": ["ARM_CLIENT_SECRET=env:ARM", "REGION=eu"],
        "engine-places-by-executor": "terraform=3",
      },
    });
    assert.deepEqual(config.security.allowedHosts, ["a.example", "b.example"]);
    assert.deepEqual(config.executors.terraform.env, {
      ARM_CLIENT_SECRET: "env:ARM",
      REGION: "eu",
    });
    assert.deepEqual(config.engine.placesByExecutor, { terraform: 3 });
  });

  test("shows values with their origin and secrets masked, but references as they are", async () => {
    const loaded = await load({ flags: { "executors-command-env": "A=env:B,C=hunter2" } });
    const rows = configRows(loaded);
    assert.equal(rows.length, configKeys.length);
    assert.deepEqual(
      rows.find((row) => row.key === "executors.command.env"),
      {
        key: "executors.command.env",
        value: { A: "env:B", C: "(secret)" },
        origin: "--executors-command-env",
        description: rows.find((row) => row.key === "executors.command.env")?.description,
      },
    );
    assert.equal(rows.find((row) => row.key === "retention.events")?.value, "90d");
  });
});

function look(value: string): Promise<unknown> {
  return resolveGrants("executors.command", { env: { A: value }, templates: {} }, {});
}

describe("granted variables", () => {
  test("are looked up by reference, those of one template over those of all", async () => {
    const path = join(cwd, "secret");
    await writeFile(path, "from file\n");
    const grants = {
      env: { A: "env:B", F: `file:${path}`, P: "plain" },
      templates: { shop: { env: { P: "own" } } },
    };
    const granted = await resolveGrants("executors.terraform", grants, { B: "b" });
    const [A, F] = [
      { value: "b", isSecret: false },
      { value: "from file", isSecret: true },
    ];
    assert.deepEqual(granted("other"), { A, F, P: { value: "plain", isSecret: false } });
    assert.deepEqual(granted("shop"), { A, F, P: { value: "own", isSecret: false } });
  });

  test("are secret when they lie in a file or in Vault or are called so, unless they only name something", async () => {
    const path = join(cwd, "secret");
    await writeFile(path, "s");
    const env = {
      LAB: `file:${path}`,
      ACCOUNT: "vault:a/b#c",
      API_TOKEN: "env:B",
      ARM_SUBSCRIPTION_ID: `file:${path}`,
      REGION: "env:B",
    };
    const variables = { B: "b", "vault:a/b#c": "v" };
    const granted = await resolveGrants("executors.command", { env, templates: {} }, variables);
    const secret = Object.entries(granted("any")).filter(([, { isSecret }]) => isSecret);
    assert.deepEqual(
      secret.map(([name]) => name),
      ["LAB", "ACCOUNT", "API_TOKEN"],
    );
  });

  test("that lead nowhere are refused by key", async () => {
    assert.match((await fails(look("env:NO"))).message, /executors\.command\.env\.A.*NO/u);
    assert.match((await fails(look("file:/no"))).message, /executors\.command\.env\.A.*\/no/u);
    assert.match((await fails(look("vault:a/b#c"))).message, /needs vault\.address/u);
  });
});

const clear = { names: [] };
const address = (listen: string) => listenAddress({ listen, tls: clear });

describe("the listen address", () => {
  test("may be any loopback address", () => {
    assert.deepEqual(address("127.0.0.1:0"), { host: "127.0.0.1", port: 0 });
    assert.deepEqual(address("[::1]:8080"), { host: "::1", port: 8080 });
    assert.deepEqual(address("localhost:80"), { host: "localhost", port: 80 });
  });

  const encrypted = { ...clear, certificate: "/c.pem", key: "/k.pem" };
  const others = ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "127.example.com:1", "127.0.0.1.x:1"];

  test("may be nothing else, with TLS or without, as long as anybody may give commands", () => {
    for (const listen of others)
      for (const tls of [clear, encrypted, { ...clear, clientCa: "/ca.pem" }])
        assert.throws(() => listenAddress({ listen, tls }), /Listening on .* is refused/u, listen);
  });

  test("may be any where clients show certificates, and is then a name of the server", () => {
    const tls = { ...encrypted, names: ["lab.example.com", "fd00::1"], clientCa: "/ca.pem" };
    const names = (listen: string) =>
      ownNames({ listen, tls, security: { allowedHosts: ["a.example"] } });
    const own = ["a.example", "lab.example.com", "[fd00::1]"];
    assert.deepEqual(names("10.0.0.1:1"), [...own, "10.0.0.1"]);
    assert.deepEqual(names("[fd00::2]:1"), [...own, "[fd00::2]"]);
    for (const listen of ["0.0.0.0:1", "[::]:1"]) assert.deepEqual(names(listen), own);
  });
});
