import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, suite, test } from "node:test";
import { processesWith } from "../../../src/testing/processes.ts";
import { z } from "zod";
import { terraformConfigurationFile } from "../../../tools/tools-directory.ts";
import { Cloud, judgeCloud, knownThings } from "../../support/cloud.ts";
import { nothingFound } from "../../support/chaos.ts";
import { Cluster, type Replica } from "../../support/cluster.ts";
import { judged } from "../../support/ledger.ts";
import { postgresSkip, TestPostgres } from "../../support/postgres.ts";
import { commandSchema, type TestServer } from "../../support/server.ts";
import { engines } from "../terraform/engines.ts";

const leaseSeconds = 4;
const engine = engines.find(({ skip }) => skip === false) ?? engines[0];

/** A cluster and a way to look into its database, past the servers. */
interface Site {
  readonly cluster: Cluster;
  readonly look: (text: string) => ReturnType<TestPostgres["query"]>;
}

suite("servers that share a PostgreSQL", { skip: postgresSkip, concurrency: true }, () => {
  let postgres: TestPostgres;
  before(async () => {
    postgres = await TestPostgres.start();
  });
  after(() => postgres.remove());

  test("finish within seconds what one of them was doing when it was killed, and double nothing", async () => {
    await inCluster(postgres, { replicas: 2 }, async (site) => {
      const { cluster } = site;
      const [first] = cluster.replicas;
      await assert.rejects(first?.start() ?? Promise.resolve(), /is in use by process/u);
      await cluster.register({ name: "work", groups: 8, width: 4, lingerSeconds: 1 });
      const [doomed, other] = await startedOn(site, "work");
      await entries(site, 1);
      await doomed.kill();
      const killedAtMs = Date.now();
      const run = await other.settled(await theRun(site));
      assert.equal(run.status, "succeeded", run.reason ?? "");
      assert.ok(Date.now() - killedAtMs < 30_000, `${Date.now() - killedAtMs} ms`);
      await eachOnce(site, 8);
    });
  });

  test("stop what a paused one runs at its lease's end, take it over when it must be dead, and refuse what it writes late", async () => {
    // Nothing else on this machine sleeps for this long.
    const linger = 611 + process.pid / 10 ** 7;
    await inCluster(postgres, { replicas: 2 }, async (site) => {
      const { cluster } = site;
      await cluster.register({ name: "pause", groups: 1, width: 1, lingerSeconds: linger });
      const [paused, other] = await startedOn(site, "pause");
      await entries(site, 1);
      paused.pause();
      const step = await owner(site);
      let living = -1;
      await untilTrue("the step is taken", 120_000, async () => {
        // A shell that waits for a program ends with it, so the warden's patience with it runs out, of a minute.
        living = processesWith(`${linger}`).length;
        const now = await owner(site);
        return now.status !== "running" || now.worker !== step.worker;
      });
      assert.equal(living, 0, "its child lived when the step was taken");
      const run = await other.settled(await theRun(site), 120_000);
      assert.equal(run.status, "succeeded", run.reason ?? "");
      await eachOnce(site, 1);
      paused.resume();
      await untilTrue("the late write is refused", 30_000, () =>
        paused.output.includes("A late write was refused"),
      );
      await untilTrue("both work again", 30_000, async () => (await workers(site)) === 2);
      assert.notEqual((await owner(site)).worker, step.worker);
    });
  });

  test("take over at once what one that is stopped leaves", async () => {
    await inCluster(postgres, { replicas: 2 }, async (site) => {
      const { cluster } = site;
      await cluster.register({ name: "drain", groups: 4, width: 4, lingerSeconds: 3 });
      const [stopped, other] = await startedOn(site, "drain");
      await entries(site, 1);
      const beganMs = Date.now();
      await stopped.stop();
      const run = await other.settled(await theRun(site));
      assert.equal(run.status, "succeeded", run.reason ?? "");
      assert.ok(Date.now() - beganMs < 25_000, `${Date.now() - beganMs} ms`);
      await eachOnce(site, 4);
    });
  });

  test(
    "all restart one after the other during a Terraform apply, and its state is complete",
    {
      skip: engine?.skip ?? "no terraform",
    },
    async () => {
      const env = {
        TF_CLI_CONFIG_FILE: terraformConfigurationFile(),
        GLASSHOUSE_EXECUTORS_TERRAFORM_PROGRAM: engine?.path ?? "terraform",
      };
      await inCluster(postgres, { replicas: 3, env }, ({ cluster }) => rollDuringApply(cluster));
    },
  );
});

async function rollDuringApply(cluster: Cluster): Promise<void> {
  const cloud = new Cloud(cluster.directory);
  await cloud.open();
  const template = { name: "rolling", things: 40, slowMs: 1_500 };
  await cluster.any.request("POST", "/api/v1/templates", await cloud.template(template));
  const id = await create(cluster.any, "rolling", "rolling");
  for (const replica of cluster.replicas) {
    const known = (await cloud.look()).made.length;
    await untilTrue("things are being made", 60_000, async () => {
      const run = await cluster.any.run(id);
      return run.status !== "running" || (await cloud.look()).made.length > known;
    });
    await replica.stop();
    await replica.start();
  }
  const run = await cluster.any.settled(id, 120_000);
  assert.equal(run.status, "succeeded", run.reason ?? "");
  const findings = await judgeCloud(cloud, await knownThings(cluster.any, "rolling"), template);
  assert.deepEqual(findings, nothingFound);
  assert.equal((await cloud.look()).made.length, template.things);
}

async function inCluster(
  postgres: TestPostgres,
  of: { readonly replicas: number; readonly env?: Readonly<Record<string, string>> },
  use: (site: Site) => Promise<void>,
): Promise<void> {
  const database = await postgres.createDatabase();
  const address = new URL(postgres.url(database));
  const cluster = await Cluster.prepare({
    replicas: of.replicas,
    store: {
      port: Number(address.port),
      url: (port) => Object.assign(new URL(address), { port: String(port) }).href,
    },
    env: { GLASSHOUSE_ENGINE_LEASE: `${leaseSeconds}s`, ...of.env },
  });
  try {
    await cluster.start();
    await use({ cluster, look: (text) => postgres.query(text, database) });
  } catch (error) {
    const said = cluster.replicas.map(({ name, output }) => `--- ${name}\n${output}`);
    throw new Error(said.join("\n"), { cause: error });
  } finally {
    await cluster.close();
  }
}

/** Starts the judged environment; the replica that works on a step of it, and the server of one that may take it over. */
async function startedOn(site: Site, template: string): Promise<readonly [Replica, TestServer]> {
  const { cluster } = site;
  await create(cluster.any, judged, template);
  let pid = 0;
  await untilTrue("a step runs", 30_000, async () => {
    pid = (await owner(site)).pid;
    return pid > 0;
  });
  const working = cluster.replicas.find((replica) => replica.server?.pid === pid);
  const other = cluster.replicas.find((replica) => replica !== working)?.server;
  assert.ok(working !== undefined && other !== undefined && other !== null);
  return [working, other];
}

async function create(server: TestServer, name: string, template: string): Promise<string> {
  const answer = await server.request("POST", "/api/v1/environments", { name, template });
  return commandSchema.parse(answer).run ?? "";
}

const ownerRow = z.object({ status: z.string(), worker: z.string(), pid: z.number() });

/** Of the first step that a worker has, or had last. */
async function owner({ look }: Site): Promise<z.output<typeof ownerRow>> {
  const [row] = await look(
    `select s."status", s."worker", coalesce((w."process"::json->>'pid')::int, 0) as "pid"
     from "step" s left join "worker" w on w."id" = s."worker" where s."worker" is not null order by s."number" limit 1`,
  );
  return row === undefined ? { status: "", worker: "", pid: 0 } : ownerRow.parse(row);
}

async function workers({ look }: Site): Promise<number> {
  const rows = await look(`select 1 from "worker" where "status" = 'working'`);
  return rows.length;
}

async function theRun({ look }: Site): Promise<string> {
  const [row] = await look(`select "id" from "run" limit 1`);
  return z.object({ id: z.string() }).parse(row).id;
}

async function entries({ cluster }: Site, least: number): Promise<void> {
  const enough = async (): Promise<boolean> => (await cluster.ledger.entries()).length >= least;
  await untilTrue("the ledger has entries", 30_000, enough);
}

async function eachOnce({ cluster }: Site, groups: number): Promise<void> {
  const created = await cluster.ledger.created();
  assert.deepEqual([created.size, ...new Set(created.values())], [groups, 1]);
}

async function untilTrue(
  what: string,
  limitMs: number,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not within ${limitMs} ms: ${what}`);
    await sleep(100);
  }
}
