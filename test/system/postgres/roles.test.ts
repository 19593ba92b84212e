import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { z } from "zod";
import { pack } from "../../../src/adapters/sources/archive/index.ts";
import { readDirectory } from "../../../src/adapters/sources/directory/index.ts";
import { eventView } from "../../../src/contract/rest-event.ts";
import { runView } from "../../../src/contract/rest-run.ts";
import { healthView, infoView } from "../../../src/contract/rest-service.ts";
import { workerView } from "../../../src/contract/rest-worker.ts";
import { Cluster, type Replica } from "../../support/cluster.ts";
import { Outside, writeTemplate, type TemplateFacts } from "../../support/outside.ts";
import { postgresSkip, TestPostgres } from "../../support/postgres.ts";
import { commandSchema, type TestServer } from "../../support/server.ts";
import { until } from "../../support/site.ts";
import { EventStream } from "../../support/stream.ts";

/** What a group is made by writes down who ran it: the worker's own name, granted to its commands. */
const who = `#!/bin/sh
set -eu
verb=$1 world=$2 me=$GLASSHOUSE_ENVIRONMENT_NAME.$GLASSHOUSE_GROUP
case $verb in
  observe) [ -e "$world/$me.made" ] || exit 3 ;;
  destroy) rm -f "$world/$me.made"; echo "destroy $me $WHO" >> "$world/ledger" ;;
  *)
    echo "begin $me $WHO" >> "$world/ledger"
    while [ -e "$world/$me.hold" ]; do sleep 0.05; done
    : > "$world/$me.made"
    echo "create $me $WHO" >> "$world/ledger"
    ;;
esac
`;

function labelledGroup(
  { directory }: Outside,
  of: { readonly dependsOn: readonly string[]; readonly runsOn: readonly string[] },
): TemplateFacts["groups"][string] {
  const call = (verb: string): readonly string[] => ["./who", verb, directory];
  return {
    dependsOn: of.dependsOn,
    more: { runsOn: of.runsOn, outputs: [] },
    with: { create: call("create"), destroy: call("destroy"), observe: call("observe") },
  };
}

describe("several replicas of each role", { skip: postgresSkip }, () => {
  let postgres: TestPostgres;
  let cluster: Cluster;
  let outside: Outside;

  before(async () => {
    postgres = await TestPostgres.start();
    const database = await postgres.createDatabase();
    const url = (port: number): string =>
      postgres.url(database).replace(`:${postgres.port}/`, `:${port}/`);
    cluster = await Cluster.prepare({ replicas: 5, store: { port: postgres.port, url } });
    outside = new Outside(join(cluster.directory, "outside"));
    await mkdir(outside.directory);
    await startApi(0);
    await Promise.all([startApi(1), startWorker(2, "gpu"), startWorker(3, "eu")]);
    await register();
  });
  after(async () => {
    await cluster.close();
    await postgres.remove();
  });

  const replica = (at: number): Replica => {
    const found = cluster.replicas[at];
    assert.ok(found);
    return found;
  };
  const api = (at: number): TestServer => {
    const { server } = replica(at);
    assert.ok(server, `replica ${at} is down`);
    return server;
  };
  const startApi = (at: number) => replica(at).start({ GLASSHOUSE_ROLES: "api" });
  const startWorker = (at: number, label: string, name = label) =>
    replica(at).start({
      GLASSHOUSE_ROLES: "worker",
      GLASSHOUSE_ENGINE_LABELS: label,
      GLASSHOUSE_EXECUTORS_COMMAND_ENV: `WHO=${name}`,
    });

  async function register(): Promise<void> {
    const data = labelledGroup(outside, { dependsOn: [], runsOn: [] });
    const labelled = {
      train: labelledGroup(outside, { dependsOn: ["data"], runsOn: ["gpu"] }),
      serve: labelledGroup(outside, { dependsOn: ["train"], runsOn: ["eu"] }),
    };
    for (const [name, groups] of [
      ["model", { data, ...labelled }],
      ["plain", { data }],
    ] as const) {
      const folder = join(cluster.directory, "templates", name);
      await writeTemplate(folder, outside, { name, groups, files: { who } });
      const { files } = await readDirectory(folder);
      await api(0).request("POST", "/api/v1/templates", new Uint8Array(await pack(files)));
    }
  }

  async function create(name: string, at = 0, template = "model"): Promise<string> {
    const body = { name, template };
    const made = await api(at).request("POST", "/api/v1/environments", body);
    return commandSchema.parse(made).run ?? "";
  }

  const runAt = async (id: string, at = 0) =>
    runView.parse(await api(at).request("GET", `/api/v1/runs/${id}`));

  const ledger = async (name: string, what: string): Promise<readonly string[]> =>
    (await outside.ledger(name)).filter((line) => line.startsWith(`${what} `));

  const begun = (name: string, group: string) =>
    until(
      () => ledger(name, "begin"),
      (lines) => lines.some((line) => line.startsWith(`begin ${name}.${group} `)),
    );

  test("a group goes to the worker that offers its labels, whichever API took the command", async () => {
    for (const at of [0, 1]) {
      const info = infoView.parse(await api(at).request("GET", "/api/v1/info"));
      assert.deepEqual(info.roles, ["api"]);
      const run = await api(at).settled(await create(`routed${at}`, at));
      assert.equal(run.status, "succeeded", run.reason ?? "");
      const [data, ...labelled] = await ledger(`routed${at}`, "create");
      assert.match(data ?? "", /^create routed\d\.data (?:gpu|eu)$/u);
      assert.deepEqual(labelled, [`create routed${at}.train gpu`, `create routed${at}.serve eu`]);
    }
    await assert.rejects(api(2).request("GET", "/api/v1/environments"), /421.*not-served/u);
    assert.equal((await fetch(`${api(2).url}/readyz`)).status, 200);
  });

  test("without the worker of a label commands are refused, what was taken in says why it waits, and goes on", async () => {
    const release = await outside.hold("left", "data");
    const id = await create("left");
    await begun("left", "data");
    // Whoever holds the first group may be the one that goes: then it is begun again elsewhere.
    await replica(2).stop();
    await assert.rejects(create("late"), /409.*no-worker.*workers now offer eu/u);
    await release();
    const reason = "waits for a worker that offers gpu; workers now offer eu";
    const waiting = await until(
      () => runAt(id, 1),
      ({ blocker }) => blocker?.kind === "worker",
    );
    assert.deepEqual([waiting.status, waiting.reason], ["running", reason]);
    const environment = z.object({ reason: z.string().nullable() });
    const read = await api(0).request("GET", "/api/v1/environments/left");
    assert.equal(environment.parse(read).reason, reason);
    await startWorker(2, "gpu");
    assert.equal((await api(0).settled(id)).status, "succeeded");
    assert.deepEqual((await ledger("left", "create")).slice(1), [
      "create left.train gpu",
      "create left.serve eu",
    ]);
  });

  test("a worker that is stopped in the middle of a step hands it over", async () => {
    await startWorker(4, "gpu", "gpu2");
    const release = await outside.hold("handed", "train");
    const id = await create("handed");
    const [first = ""] = (await begun("handed", "train")).filter((line) =>
      line.includes(".train "),
    );
    const [leaving, taking] = first.endsWith(" gpu2")
      ? ([4, "gpu"] as const)
      : ([2, "gpu2"] as const);
    await replica(leaving).stop();
    const workers = z.object({ items: z.array(workerView) });
    await until(
      () => ledger("handed", "begin"),
      (lines) => lines.includes(`begin handed.train ${taking}`),
    );
    const { items } = workers.parse(await api(1).request("GET", "/api/v1/workers"));
    assert.equal(items.filter(({ status }) => status === "working").length, 2);
    await release();
    const run = await api(0).settled(id);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const trained = (await ledger("handed", "create")).filter((line) => line.includes(".train "));
    assert.deepEqual(trained, [`create handed.train ${taking}`]);
    await (leaving === 4 ? Promise.resolve() : startWorker(2, "gpu"));
  });

  test("clients of an API that is stopped go on at another one and miss nothing", async () => {
    const edges = infoView.parse(await api(1).request("GET", "/api/v1/info"));
    const streams = Array.from(
      { length: 3 },
      () => new EventStream([api(0).url, api(1).url], edges.position),
    );
    const ids: string[] = [];
    for (let n = 0; n < 4; n += 1) ids.push(await create(`watched${n}`, 1));
    await begun("watched0", "data");
    await replica(0).stop();
    for (const id of ids) assert.equal((await api(1).settled(id)).status, "succeeded");
    const list = z.object({ items: z.array(eventView), next: z.string().nullable() });
    // The last events of a run that has ended get their positions a moment later.
    const items = await until(
      async () =>
        list.parse(await api(1).request("GET", `/api/v1/events?after=${edges.position}&limit=500`))
          .items,
      (some) => some.filter(({ type }) => type === "run.succeeded").length === ids.length,
    );
    const wanted = items.map(({ position }) => position);
    assert.ok(wanted.length > 50);
    for (const stream of streams) {
      await until(
        async () => stream.seen.positions.length,
        (count) => count >= wanted.length,
      );
      await stream.close();
      const { positions, ends } = stream.seen;
      assert.deepEqual(positions.slice(0, wanted.length), wanted);
      assert.equal(ends[0], true, "the first stream was cut, not ended");
    }
  });

  test("without any worker what asks for nothing is taken in, waits with its reason, and goes on when one comes", async () => {
    const workers = async () => {
      const { dependencies } = healthView.parse(await api(1).request("GET", "/health"));
      return dependencies.find(({ name }) => name === "workers");
    };
    assert.deepEqual((await workers())?.status, "up");
    await Promise.all([2, 3, 4].map((at) => replica(at).stop()));
    const id = await create("patient", 1, "plain");
    const waiting = await until(
      () => runAt(id, 1),
      ({ blocker }) => blocker?.kind === "worker",
    );
    assert.equal(waiting.reason, "waits for a worker; no worker is there now");
    assert.deepEqual((await workers())?.status, "missing");
    await startWorker(3, "eu");
    assert.equal((await api(1).settled(id)).status, "succeeded");
    assert.deepEqual(await ledger("patient", "create"), ["create patient.data eu"]);
  });
});
