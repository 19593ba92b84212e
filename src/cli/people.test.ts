import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { problemOf } from "../contract/problem.ts";
import { graphLines } from "./graph.ts";
import { runProgram } from "./program.ts";
import { fakeTerminal } from "./terminal.fixture.ts";

/** What the server answers, by the start of the request's line; the first that fits. */
let answers: readonly (readonly [string, unknown])[] = [];
const server = createServer((request, response) => {
  const line = `${request.method} ${request.url}`;
  const body = answers.find(([start]) => line.startsWith(start))?.[1];
  const status = body === undefined ? 404 : request.method === "GET" ? 200 : 202;
  response.writeHead(status, { "content-type": "application/json" });
  const problem = problemOf("not-found", {
    message: `Nothing at ${line}.`,
    details: [],
    traceId: "t",
  });
  response.end(JSON.stringify(body ?? problem));
});
const listening = new Promise<string>((resolve) => {
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    resolve(`http://127.0.0.1:${address.port}`);
  });
});
after(() => {
  server.closeAllConnections();
  server.close();
});

async function run(line: string, given: typeof answers = []) {
  answers = given.map(([start, body]) => [start.replace(" /", " /api/v1/"), body] as const);
  const env = { GLASSHOUSE_SERVER: await listening, NO_COLOR: "1" };
  const terminal = fakeTerminal({ env, cwd: tmpdir() });
  const code = await runProgram(line.split(" "), terminal);
  return { code, out: terminal.output(), err: terminal.errors() };
}

const time = "2026-01-01T00:00:00.123Z";
const runView = {
  id: "run_1",
  environment: "env_1",
  environmentName: "shop",
  kind: "create",
  status: "succeeded",
  stage: "ended",
  reason: null,
  blocker: null,
  failure: null,
  position: null,
  templates: [],
  generation: 1,
  plan: null,
  action: null,
  attempt: 1,
  progress: { done: 0, total: 3, failed: 0, skipped: 0 },
  cancelRequestedAt: null,
  createdAt: time,
  startedAt: time,
  finishedAt: time,
};
const waiting = {
  ...runView,
  status: "waiting",
  reason: "apply:lab/show: it was cut off",
  blocker: { kind: "outcome-unknown", on: ["apply:lab/show"] },
};
const environment = {
  id: "env_1",
  name: "shop",
  description: "",
  tags: {},
  status: "deploying",
  reason: "apply:lab/show: it was cut off",
  failure: null,
  templates: [{ id: "tpl_1", name: "lab", version: "1.0.0" }],
  parameters: {},
  secrets: [],
  certificates: [],
  entrypoints: {},
  outputs: {},
  requires: [],
  outdated: false,
  drifted: false,
  generation: 1,
  appliedGeneration: 0,
  activeRun: "run_1",
  sequence: 1,
  createdAt: time,
  updatedAt: time,
  plannedDestructionAt: time,
  destroyedAt: null,
};
const command = {
  id: "cmd_1",
  source: "s",
  sourceId: "i",
  type: "environment.plan",
  subject: "shop",
  status: "completed",
  environment: "env_1",
  template: null,
  run: "run_1",
  plan: "pln_1",
  error: null,
  actor: "a",
  sender: null,
  correlationId: null,
  createdAt: time,
  finishedAt: null,
};
const info = {
  version: "1",
  roles: [],
  store: "sqlite",
  bus: "embedded",
  executors: [],
  epoch: 1,
  position: 0,
  oldestPosition: 0,
  startedAt: time,
  listen: "127.0.0.1:1",
};
const ofRun = [
  ["GET /runs/run_1/steps", { items: [], next: null }],
  ["GET /runs/run_1", runView],
  ["GET /info", info],
] as const;

describe("what people read", () => {
  test("a plan stands in columns, with a reason only where it says more than the mark", async () => {
    const step = { key: "k", phase: "apply", template: "lab", executor: "command", dependsOn: [] };
    const plan = {
      id: "pln_1",
      environment: "env_1",
      environmentName: "shop",
      run: "run_1",
      kind: "update",
      status: "ready",
      templates: [],
      digest: null,
      summary: { exact: 1, deferred: 0, unchanged: 1, destroy: 0 },
      createdAt: time,
      expiresAt: time,
      steps: [
        { ...step, group: "sign", mark: "unchanged", reason: "unchanged", changes: [] },
        {
          ...step,
          group: "watering",
          mark: "exact",
          reason: "new group",
          changes: [{ action: "create", address: "a.b" }],
        },
      ],
    };
    const { code, out, err } = await run("env plan shop", [
      ["POST /commands", command],
      ["GET /commands/cmd_1", command],
      ["GET /plans/pln_1", plan],
      ...ofRun,
    ]);
    assert.equal(code, 6, err);
    assert.deepEqual(out.split("\n"), [
      "sign      unchanged",
      "watering  exact      new group",
      "    + a.b",
      "",
      "Plan pln_1: 1 exact, 1 unchanged",
      "",
    ]);
    assert.match(err, /until 2026-01-01T00:00:00Z\./u);
  });

  test("a plan for an environment that does not exist yet is known to need a template", async () => {
    const { code, err } = await run("env plan shop");
    assert.equal(code, 3);
    assert.match(err, /hint: .*does not exist yet, name its template with --template/u);
    assert.doesNotMatch((await run("env plan shop --template lab")).err, /name its template/u);
    assert.match((await run("env plan --help")).out, /does not exist\s+yet/u);
  });

  test("drift stands in columns", async () => {
    const group = { template: "lab", executor: "command", drift: "drifted", changes: [] };
    const { code, out } = await run("env drift shop", [
      ["POST /commands", command],
      [
        "GET /environments/shop/drift",
        {
          environment: "env_1",
          environmentName: "shop",
          drifted: true,
          run: null,
          checkedAt: null,
          groups: [
            { ...group, group: "sign" },
            { ...group, group: "watering", drift: "missing" },
          ],
        },
      ],
      ...ofRun,
    ]);
    assert.equal(code, 6);
    assert.equal(out, "sign      drifted\nwatering  missing\n");
  });

  test("an environment says why its run waits and what can be done", async () => {
    const given = [
      ["GET /environments/shop", { ...environment, reason: "its run waits" }],
      ["GET /runs/run_1", waiting],
    ] as const;
    const { out, err } = await run("env show shop", given);
    assert.match(out, /^running +run_1 {2}create waiting$/mu);
    assert.match(out, /^waits for +group show: it was cut off$/mu);
    assert.match(out, /^created +2026-01-01T00:00:00Z$/mu);
    assert.match(err, /`glasshouse run retry run_1` goes on, `glasshouse run cancel run_1`/u);
    const json = await run("env show shop -o json", given);
    assert.equal(JSON.parse(json.out).createdAt, time);
    assert.equal(json.err, "");
  });

  test("a reason that stands beside the status is not said twice", async () => {
    const { out } = await run("env show shop", [
      ["GET /environments/shop", environment],
      ["GET /runs/run_1", waiting],
    ]);
    assert.match(out, /^shop {2}deploying {2}group show: it was cut off$/mu);
    assert.equal(out.split("it was cut off").length, 2);
  });

  test("runs name groups in place of their steps' keys", async () => {
    const list = await run("run list shop", [
      ["GET /environments/shop/runs", { items: [waiting], next: null }],
    ]);
    assert.match(list.out, / group show: it was cut off$/mu);
    const show = await run("run show run_1", [
      ["GET /runs/run_1/steps", { items: [], next: null }],
      ["GET /runs/run_1", waiting],
    ]);
    assert.match(show.out, /^run_1 {2}waiting {2}group show: it was cut off$/mu);
    assert.match(show.out, /^waits for +outcome-unknown group show$/mu);
    assert.doesNotMatch(list.out + show.out, /apply:/u);
  });

  test("a graph has columns and no space at the ends of its lines", () => {
    const node = {
      template: "lab",
      group: "g",
      kind: "group",
      executor: "command",
      reason: null,
      health: null,
    } as const;
    const lines = graphLines(
      { terminal: fakeTerminal() },
      {
        nodes: [
          { ...node, id: "a", name: "a", status: null },
          { ...node, id: "b", name: "longer", executor: "terraform", status: null },
          { ...node, id: "c", name: "c", status: null },
        ],
        edges: [{ from: "a", to: "c", kind: "depends-on" }],
      },
    );
    assert.deepEqual(lines, [
      "layer 1",
      "  a       command",
      "  longer  terraform",
      "layer 2",
      "  c       command    ← a",
    ]);
  });
});

describe("resource list", () => {
  const observed = {
    template: "lab",
    group: "beds",
    address: "local_file.bed",
    type: "local_file",
    externalId: null,
    attributes: { size: 3 },
    observedAt: time,
  };
  const found = [
    ["GET /environments/shop/resources", { items: [], next: null, observed: [observed] }],
  ] as const;

  test("takes an environment and says where what was observed is shown", async () => {
    const { out, err } = await run("resource list shop", found);
    assert.equal(out, "");
    assert.match(err, /`glasshouse resource list shop -o wide` shows the 1 observed/u);
    assert.equal((await run("resource list --environment shop", found)).err, err);
    assert.equal((await run("resource list shop --environment lab", found)).code, 2);
  });

  test("shows what was observed with -o wide", async () => {
    const { out } = await run("resource list shop -o wide", found);
    assert.match(out, /^beds +local_file\.bed +local_file +- +2026-01-01T00:00:00Z +size=3$/mu);
  });
});

describe("worker list", () => {
  const worker = {
    id: "wrk_1",
    host: "node-1",
    pid: 7,
    version: "0.1.0",
    labels: ["eu", "gpu"],
    status: "working",
    lapsed: false,
    leaseEndsAt: time,
    running: 2,
    startedAt: time,
  };
  const idle = { ...worker, id: "wrk_2", labels: [], lapsed: true, running: 0, leaseEndsAt: null };

  test("shows what each offers, how it is and what it does", async () => {
    const found = [["GET /workers", { items: [worker, idle], next: null }]] as const;
    const { out } = await run("worker list -o wide", found);
    const row = /^wrk_1 +node-1 +eu, gpu +working +2 +0\.1\.0 +\S+ +2026-01-01T00:00:00Z +7$/mu;
    assert.match(out, row);
    assert.match(out, /^wrk_2 +node-1 +- +lapsed +0 /mu);
    assert.equal((await run("worker list -o name", found)).out, "wrk_1\nwrk_2\n");
  });

  test("says what to do when there is none", async () => {
    const { err } = await run("worker list", [["GET /workers", { items: [], next: null }]]);
    assert.match(err, /There is no worker: start one with `glasshouse server`/u);
  });
});

describe("server", () => {
  test("refuses to take in what nobody would work on", async () => {
    const { code, err } = await run("server --roles api");
    assert.equal(code, 2);
    assert.match(err, /With SQLite the roles must include worker/u);
  });

  test("knows the names of clusters and says that this version has none", async () => {
    for (const [line, key] of [
      ["server --primary-cluster-name home", "cluster.primaryClusterName"],
      ["server --primary --primary-cluster-name home", "cluster.primaryClusterName"],
      ["server --cluster-primary true", "cluster.primary"],
      ["server --location attic", "cluster.location"],
    ] as const) {
      const { code, err } = await run(line);
      assert.notEqual(code, 0);
      assert.ok(err.includes(`${key} is not available in this version. (not-available)`), err);
    }
  });

  test("takes --primary as what is so without it", async () => {
    // A mistake elsewhere ends it before anything is opened.
    const { code, err } = await run("server --primary --listen nowhere");
    assert.equal(code, 2);
    assert.match(err, /^--primary says what is so without it/u);
    assert.doesNotMatch(err, /unknown option|\(not-available\)/u);
  });
});

test("the completion script of bash can be read twice, and beside another of its kind", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "glasshouse-completion-"));
  t.after(() => rm(folder, { recursive: true }));
  const script = join(folder, "script");
  await writeFile(script, (await run("completion bash")).out);
  for (const before of ["", "readonly ShellCompDirectiveError=1;"]) {
    const words = `${before} . "$1" && . "$1" && echo $ShellCompDirectiveKeepOrder`;
    const said = execFileSync("bash", ["-euc", words, "bash", script], { stdio: "pipe" });
    assert.equal(said.toString(), "32\n");
  }
});
