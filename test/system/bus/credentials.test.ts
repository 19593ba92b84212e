import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { loadConfig } from "../../../src/app/config.ts";
import { busFindings } from "../../../src/app/doctor-bus.ts";
import { lookDeps } from "../../support/look-deps.ts";
import { loadComplaints, orderMany, registerLoad } from "../../support/bus-load.ts";
import { openBusSite } from "../../support/bus-site.ts";
import { rabbitmqSkip, type Rabbitmq } from "../../support/rabbitmq.ts";
import { until } from "../../support/site.ts";

const handOvers = 20;

test(
  "credentials that change 20 times under load cost no command, whether a signal tells or not",
  { skip: rabbitmqSkip },
  async () => {
    const files = { user: "", password: "" };
    const at = await openBusSite(
      { env: { GLASSHOUSE_TELEMETRY_LEVEL: "info" } },
      {
        async url(broker) {
          await addUsers(broker);
          files.user = join(broker.directory, "user");
          files.password = join(broker.directory, "password");
          await write(0);
          return `amqp://127.0.0.1:${broker.portOf(0)}`;
        },
        env: () => ({
          GLASSHOUSE_BUS_USERNAME: `file:${files.user}`,
          GLASSHOUSE_BUS_PASSWORD: `file:${files.password}`,
        }),
      },
    );
    async function write(n: number): Promise<void> {
      await writeFile(files.user, `user${n}\n`);
      await writeFile(files.password, `password${n}\n`);
    }
    try {
      await registerLoad(at.site);
      const ordering = orderMany(at.client, { prefix: "h", count: 100, everyMs: 300 });
      for (let n = 1; n <= handOvers; n += 1) {
        await write(n);
        // The first ones are found by looking, the others are told of.
        if (n > 3) process.kill(at.site.server.pid, "SIGHUP");
        await until(
          async () => at.site.server.output,
          (output) => output.includes(`"user":"user${n}"`),
        );
        await sleep(200);
      }
      assert.deepEqual(await loadComplaints(at, await ordering), []);
      const connected = await until(
        async () => (await at.broker.control(["list_connections", "user"])).split("\n"),
        (users) => users.filter((user) => user.startsWith("user")).length === 1 + 1,
      );
      // The heading, and the one connection that is left.
      assert.ok(connected.includes(`user${handOvers}`));
      assert.doesNotMatch(at.site.server.output, /"level":"error"/u);
    } finally {
      await at.close();
    }
  },
);

async function addUsers(broker: Rabbitmq): Promise<void> {
  const calls = Array.from(
    { length: handOvers + 1 },
    (_none, n) =>
      `rabbit_auth_backend_internal:add_user(<<"user${n}">>, <<"password${n}">>, <<"test">>),` +
      `rabbit_auth_backend_internal:set_permissions(<<"user${n}">>, <<"/">>, <<".*">>, <<".*">>, <<".*">>, <<"test">>)`,
  );
  await broker.control(["eval", `${calls.join(",")}.`]);
}

test(
  "over TLS with a certificate of the client's own, commands come and answers go",
  { skip: rabbitmqSkip },
  async () => {
    const at = await openBusSite(
      {},
      {
        broker: { tls: "verify" },
        url: (broker) => broker.tlsUrlOf(0),
        env: ({ certificates }) =>
          certificates === null
            ? {}
            : {
                GLASSHOUSE_BUS_TLS_CA: certificates.authority,
                GLASSHOUSE_BUS_TLS_CERTIFICATE: certificates.client.certificate,
                GLASSHOUSE_BUS_TLS_KEY: certificates.client.key,
              },
      },
    );
    try {
      await registerLoad(at.site);
      const orders = await orderMany(at.client, { prefix: "t", count: 5 });
      assert.deepEqual(await loadComplaints(at, orders), []);
      assert.match(await at.broker.control(["list_connections", "ssl", "port"]), /true/u);
      assert.match(await bus(at.broker, "guest"), /good.*takes the user guest/u);
      assert.match(await bus(at.broker, "nobody"), /bad.*ACCESS.REFUSED/u);
    } finally {
      await at.close();
    }
  },
);

/** What `doctor` finds of the bus. */
async function bus(broker: Rabbitmq, username: string): Promise<string> {
  const env = {
    GLASSHOUSE_BUS_URL: `amqp://127.0.0.1:${broker.portOf(0)}`,
    GLASSHOUSE_BUS_USERNAME: username,
  };
  const { config } = await loadConfig({ env, flags: {}, cwd: broker.directory });
  const findings = await busFindings(config, lookDeps({}));
  return findings.map(({ level, found }) => `${level}: ${found}`).join("\n");
}
