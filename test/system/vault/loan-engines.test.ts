import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { Aws, awsSkip } from "../../support/aws.ts";
import { assertClean, assertFilesClean } from "../../support/canary.ts";
import { consulSkip } from "../../support/consul-program.ts";
import { Consul } from "../../support/consul.ts";
import { Rabbitmq, rabbitmqSkip } from "../../support/rabbitmq.ts";
import { documentedPolicy } from "../../support/rotation.ts";
import { Site, until, type CommandView } from "../../support/site.ts";
import { Vault } from "../../support/vault.ts";
import { leaseAws, leaseConsul, leaseRabbitmq } from "../../support/vault-engines.ts";
import { engineSkip, vaultSkip } from "../../support/vault-program.ts";

const awsRequest = readFileSync(join(import.meta.dirname, "../../support/aws-request.ts"), "utf8");
const rules = 'key_prefix "shop/" { policy = "write" }';

/** Notes who it was lent to be, waits while it is held, then says at the server who it is. */
const use = `#!/bin/sh
set -eu
cat > /dev/null
me="$1/$GLASSHOUSE_ENVIRONMENT_NAME"
printf '%s\\n' "$LENT_NAME" >> "$me.names"
printf '%s\\n' "$LENT_SECRET" >> "$me.secrets"
echo "it was lent $LENT_SECRET"
while [ -e "$1/hold" ]; do sleep 0.05; done
exec "$2" ./ask.mjs "$3"
`;

/** A program that asks this as whom it was lent to be, from the environment alone. */
function asking(request: string): string {
  return `const { LENT_NAME: name, LENT_SECRET: secret } = process.env;
const [, , url] = process.argv;
const { status } = await ${request};
if (status !== 200) throw new Error("refused: " + status);
`;
}

const asBrokersUser = asking(`fetch(url, {
  headers: { authorization: "Basic " + Buffer.from(name + ":" + secret).toString("base64") },
})`);
const withConsulsToken = asking(
  `fetch(url, { method: "PUT", body: "written", headers: { "x-consul-token": secret } })`,
);
const withAwsKey = `import { askAws } from "./aws-request.ts";
${asking(`askAws({ url, service: "iam", key: { id: name, secret }, query: { Action: "ListUsers" } })`)}`;

interface Engine {
  readonly name: "rabbitmq" | "consul" | "aws";
  /** Fields of what Vault makes: how it is known, and what is secret. */
  readonly fields: readonly [string, string];
  readonly url: () => string;
  readonly ask: string;
  readonly skip: string | false;
  /** Whom Vault has made, and not taken back. */
  readonly existing: () => Promise<readonly string[]>;
}

const usersSchema = z.array(z.object({ name: z.string() }));
const tokensSchema = z.array(z.object({ AccessorID: z.string(), Description: z.string() }));

describe(
  "credentials for steps of other engines of Vault",
  { skip: vaultSkip || rabbitmqSkip || consulSkip },
  () => {
    let vault: Vault;
    let broker: Rabbitmq;
    let consul: Consul;
    let aws: Aws | null = null;
    let site: Site;
    const all: readonly Engine[] = [
      {
        name: "rabbitmq",
        fields: ["username", "password"],
        ask: asBrokersUser,
        skip: false,
        url: () => `${broker.managementUrl}/api/whoami`,
        async existing() {
          const guest = Buffer.from("guest:guest").toString("base64");
          const headers = { authorization: `Basic ${guest}` };
          const answer = await fetch(`${broker.managementUrl}/api/users`, { headers });
          const users = usersSchema.parse(await answer.json());
          return users.map(({ name }) => name).filter((name) => name !== "guest");
        },
      },
      {
        name: "consul",
        fields: ["accessor", "token"],
        ask: withConsulsToken,
        skip: engineSkip("consul"),
        url: () => `${consul.url()}/v1/kv/shop/made`,
        async existing() {
          const tokens = JSON.parse(await consul.request("GET", "/v1/acl/tokens"));
          const made = tokensSchema
            .parse(tokens)
            .filter(({ Description }) => Description.startsWith("Vault"));
          return made.map(({ AccessorID }) => AccessorID);
        },
      },
      {
        name: "aws",
        fields: ["access_key", "secret_key"],
        ask: withAwsKey,
        skip: engineSkip("aws") || awsSkip,
        url: () => cloud().url,
        existing: () => cloud().keys("vault-"),
      },
    ];

    const engines = all.filter(({ skip }) => skip === false);
    const has = (engine: Engine["name"]) => engines.some(({ name }) => name === engine);

    function cloud(): Aws {
      assert.ok(aws !== null);
      return aws;
    }

    before(async () => {
      [vault, broker, consul] = await Promise.all([
        Vault.start(),
        Rabbitmq.start({ management: true }),
        Consul.start(),
      ]);
      const times = { ttl: "1h", maxTtl: "2h", role: "shop" };
      await leaseRabbitmq(vault, { ...times, broker, tags: "management" });
      if (has("consul")) await leaseConsul(vault, { ...times, consul, rules });
      if (has("aws")) {
        aws = await Aws.start();
        await leaseAws(vault, { ...times, aws, actions: "iam:ListUsers" });
      }
      const lent = documentedPolicy("lent");
      const policies = engines.map(({ name }) => lent.replaceAll("database/", `${name}/`));
      await vault.policy("glasshouse", [lent, ...policies].join("\n"));
      const templates = engines.map(({ name, fields: [known, secret] }) => {
        const env = {
          LENT_NAME: `lease:${name}/creds/shop#${known}`,
          LENT_SECRET: `lease:${name}/creds/shop#${secret}`,
        };
        return [name, { env }] as const;
      });
      const file = join(vault.directory, "glasshouse.yaml");
      const command = { templates: Object.fromEntries(templates) };
      await writeFile(file, JSON.stringify({ executors: { command } }));
      const env = {
        GLASSHOUSE_TELEMETRY_LEVEL: "debug",
        GLASSHOUSE_VAULT_ADDRESS: vault.url,
        GLASSHOUSE_VAULT_TOKEN: "env:TOKEN_OF_VAULT",
        TOKEN_OF_VAULT: await vault.token(["glasshouse"], { no_default_policy: true }),
      };
      site = await Site.open({ env, args: ["--config", file] });
      for (const engine of engines) {
        const create = ["./use", site.outside.directory, process.execPath, engine.url()];
        const group = {
          more: { with: { create, repeatable: true }, outputs: [], retry: { attempts: 1 } },
        };
        const files = { use, "ask.mjs": engine.ask, "aws-request.ts": awsRequest };
        await site.register({ name: engine.name, groups: { web: group }, files });
        const many = Array.from({ length: 20 }, (_, at) => [`g${at}`, group] as const);
        const groups = Object.fromEntries(many);
        await site.register({ name: engine.name, version: "2.0.0", groups, files });
      }
    });
    after(async () => {
      await site.close();
      await Promise.all([vault.close(), broker.close(), consul.close(), aws?.close()]);
    });

    async function linesOf(environment: string, what: string): Promise<readonly string[]> {
      const text = (await site.outside.read(`${environment}.${what}`)) ?? "";
      return text.split("\n").filter((line) => line !== "");
    }
    const namesOf = (environment: string) => linesOf(environment, "names");

    /** Begins a run that stands still with what it was lent. */
    async function held(name: string, engine: Engine): Promise<CommandView> {
      await site.outside.write("hold");
      const body = { name, template: `${engine.name}@1.0.0` };
      const command = await site.ask("POST", "/environments", { body });
      await until(
        () => namesOf(name),
        (names) => names.length > 0,
      );
      return command;
    }

    const allEnded = (engine: Engine) =>
      until(engine.existing, (left) => left.length === 0, 30_000);

    for (const engine of all) {
      describe(`of the engine ${engine.name}`, { skip: engine.skip }, () => {
        test("are good while the step runs, gone when it ends, and seen nowhere else", async () => {
          const environment = `own-${engine.name}`;
          const command = await held(environment, engine);
          assert.deepEqual(await engine.existing(), await namesOf(environment));
          await site.outside.remove("hold");
          const run = await site.settled(command);
          assert.equal(run.status, "succeeded", run.reason ?? "");
          await allEnded(engine);
          const secrets = await linesOf(environment, "secrets");
          await assertFilesClean(site.data, secrets);
          assertClean("the server's output", Buffer.from(site.server.output), secrets);
          const [step] = await site.steps(run);
          assert.ok(step !== undefined);
          assert.match(await site.log(step), /it was lent \(secret\)/u);
        });

        test("are made anew when they are revoked under a step", async () => {
          const environment = `revoked-${engine.name}`;
          const command = await held(environment, engine);
          await vault.request("PUT", `sys/leases/revoke-prefix/${engine.name}/creds/shop`);
          await site.outside.remove("hold");
          const run = await site.settled(command);
          assert.equal(run.status, "succeeded", run.reason ?? "");
          assert.equal(new Set(await namesOf(environment)).size, 2);
          await allEnded(engine);
        });

        test("of a server that was killed are ended by the one that comes after", async () => {
          const environment = `killed-${engine.name}`;
          const command = await held(environment, engine);
          const [left = ""] = await namesOf(environment);
          site.server.kill();
          await site.server.ended;
          assert.deepEqual(await engine.existing(), [left]);
          await site.start();
          await until(engine.existing, (names) => !names.includes(left), 30_000);
          await site.outside.remove("hold");
          const run = await site.settled(command);
          assert.equal(run.status, "succeeded", run.reason ?? "");
          await allEnded(engine);
        });

        test("are one for each of a run's twenty steps, and none is left after it", async () => {
          const environment = `many-${engine.name}`;
          const run = await site.create(environment, `${engine.name}@2.0.0`);
          assert.equal(run.status, "succeeded", run.reason ?? "");
          assert.equal(new Set(await namesOf(environment)).size, 20);
          await allEnded(engine);
        });
      });
    }
  },
);
