import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import { after, describe, test } from "node:test";
import { problemOf } from "../contract/problem.ts";
import { errorTable, isErrorCode } from "../domain/errors.ts";
import { exitCodeOf } from "./failure.ts";
import { groups } from "./groups.ts";
import { eventOf } from "./live.ts";
import { buildProgram, buildWholeProgram, runProgram } from "./program.ts";
import { fakeTerminal, type FakeTerminalOptions } from "./terminal.fixture.ts";

interface Asked {
  readonly line: string;
  readonly body: string;
  readonly headers: IncomingMessage["headers"];
}

const asked: Asked[] = [];
let answer: (line: string) => { readonly status: number; readonly body: unknown } = () => ({
  status: 500,
  body: "",
});
const server = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk: Buffer) => (body += chunk.toString()));
  request.on("end", () => {
    const line = `${request.method} ${request.url}`;
    asked.push({ line, body, headers: request.headers });
    const given = answer(line);
    response.writeHead(given.status, { "content-type": "application/json" });
    response.end(typeof given.body === "string" ? given.body : JSON.stringify(given.body));
  });
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

/** A port on which nothing listens any more. */
async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise<void>((resolve) => probe.close(() => resolve()));
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

async function run(line: string, options: FakeTerminalOptions = {}) {
  asked.length = 0;
  const env = { GLASSHOUSE_SERVER: await listening, NO_COLOR: "1", ...options.env };
  const terminal = fakeTerminal({ ...options, env });
  const code = await runProgram(line.split(" ").filter(Boolean), terminal);
  return { code, out: terminal.output(), err: terminal.errors(), asked: [...asked] };
}

const time = "2026-01-01T00:00:00.000Z";
const environment = {
  id: "env_1",
  name: "shop",
  description: "",
  tags: {},
  status: "deployed-ok",
  reason: "with \u001B[2J",
  failure: null,
  templates: [{ id: "tpl_1", name: "web-shop", version: "1.0.0" }],
  parameters: {},
  secrets: [],
  certificates: [],
  entrypoints: { home: { url: "http://127.0.0.1:1/", description: "" } },
  outputs: { address: "127.0.0.1:1" },
  requires: [],
  outdated: false,
  drifted: false,
  generation: 1,
  appliedGeneration: 1,
  activeRun: null,
  sequence: 1,
  createdAt: time,
  updatedAt: time,
  plannedDestructionAt: null,
  destroyedAt: null,
};
const command = {
  id: "cmd_1",
  source: "s",
  sourceId: "i",
  type: "environment.destroy",
  subject: "shop",
  status: "accepted",
  environment: "env_1",
  template: null,
  run: "run_1",
  plan: null,
  error: null,
  actor: "a",
  sender: null,
  correlationId: null,
  createdAt: time,
  finishedAt: null,
};

describe("the command line", () => {
  test("prints help with examples for every command, and exits with 0", async () => {
    const program = await buildWholeProgram({ terminal: fakeTerminal(), exit: () => undefined });
    const names = program.commands.flatMap((group) =>
      group.commands.length === 0
        ? [group.name()]
        : group.commands.map((inner) => `${group.name()} ${inner.name()}`),
    );
    assert.ok(names.length > 30, names.join(", "));
    for (const name of names) {
      const { code, out } = await run(`${name} --help`);
      assert.equal(code, 0, name);
      assert.match(out, /Examples:\n {2}glasshouse /u, name);
    }
  });

  test("reads the file of a command only when that is named", async () => {
    const context = { terminal: fakeTerminal(), exit: () => undefined };
    const loaded = async (argv: readonly string[]): Promise<readonly string[]> => {
      const program = await buildProgram(argv, context);
      return program.commands.filter((one) => one.commands.length > 0).map((one) => one.name());
    };
    assert.deepEqual(await loaded(["--help"]), []);
    assert.deepEqual(await loaded(["evn"]), []);
    assert.deepEqual(await loaded(["--server", "run", "env", "list"]), ["environment"]);
    const { code, out } = await run("--help");
    assert.equal(code, 0);
    for (const group of groups) assert.match(out, new RegExp(`^  ${group.name}`, "mu"));
  });

  test("names the near command for a mistyped one, and exits with 2", async () => {
    for (const [line, words] of [
      ["evn list", /unknown command 'evn'[^]*Did you mean env/u],
      ["env lst", /unknown command 'lst'[^]*Did you mean list/u],
      ["env list --limt 3", /unknown option '--limt'[^]*Did you mean --limit/u],
      ["env show", /missing required argument/u],
      ["env list -o xml", /-o takes table, wide, json, yaml, name, not "xml"/u],
      ["env list --limit many", /--limit takes a whole number/u],
      ["server --lisen 1", /unknown option '--lisen'[^]*Did you mean --listen/u],
    ] as const) {
      const { code, err } = await run(line);
      assert.equal(code, 2, line);
      assert.match(err, words);
    }
  });

  test("says how to start a server when none answers, and exits with 1", async () => {
    const free = await freePort();
    const { code, err } = await run(`env list --server http://127.0.0.1:${free}`);
    assert.equal(code, 1);
    assert.match(err, /^error: No Glasshouse server answers at http.*\(connection refused\)/mu);
    assert.ok(err.includes(String(free)) && err.includes("`glasshouse server`"), err);
  });

  test("shows a problem with its places and advice, and exits as the table of errors says", async () => {
    const details = [{ message: "is \u001B[31mwrong", pointer: "/name" }];
    answer = () => ({
      status: 400,
      body: problemOf("invalid-request", { message: "The body is wrong.", details, traceId: "t" }),
    });
    const { code, err, out } = await run("env show shop -o json");
    assert.equal(code, 2);
    assert.equal(out, "");
    assert.match(
      err,
      /^error: The body is wrong\. \(invalid-request\)\n {2}\/name: is \\u001b\[31mwrong\nhint: /u,
    );
  });

  test("has the exit code of every error", () => {
    for (const [code, row] of Object.entries(errorTable)) {
      assert.ok(isErrorCode(code));
      assert.equal(exitCodeOf(code, 500), row.exitCode);
    }
    assert.deepEqual(
      [404, 401, 403, 409, 412, 422, 500].map((status) => exitCodeOf("of-tomorrow", status)),
      [3, 4, 4, 5, 5, 2, 1],
    );
  });

  test("does not take another program for a server", async () => {
    answer = () => ({ status: 404, body: "<html>nginx</html>" });
    const { code, err } = await run("env show shop");
    assert.equal(code, 3);
    assert.match(err, /not as Glasshouse does/u);
    answer = () => ({ status: 200, body: { hello: "world" } });
    assert.match((await run("env show shop")).err, /another version/u);
  });

  test("prints only the answer of the API in structured formats", async () => {
    answer = () => ({ status: 200, body: environment });
    const json = await run("env show shop -o json");
    assert.deepEqual(JSON.parse(json.out), environment);
    assert.equal(json.err, "");
    assert.match((await run("env show shop -o yaml")).out, /^id: env_1$/mu);
    assert.equal((await run("env show shop -o name")).out, "shop\n");
    assert.equal(json.asked[0]?.line, "GET /api/v1/environments/shop");
  });

  test("lets no server steer the terminal", async () => {
    answer = () => ({ status: 200, body: environment });
    assert.equal((await run("env show shop")).out.includes("\u001B"), false);
    answer = () => ({ status: 200, body: { items: [environment], next: null } });
    const list = await run("env list");
    assert.match(list.out, /^NAME .*\nshop {2}deployed-ok {2}web-shop@1\.0\.0 /u);
    assert.equal(list.out.includes("\u001B"), false);
  });

  test("reads every page of a list up to its limit, and says that there are more", async () => {
    const pages = ["c1", "c2", null];
    answer = () => ({ status: 200, body: { items: [environment], next: pages.shift() ?? null } });
    const all = await run("env list -o name");
    assert.equal(all.out, "shop\nshop\nshop\n");
    assert.match(all.asked[1]?.line ?? "", /cursor=c1/u);
    answer = () => ({ status: 200, body: { items: [environment], next: "more" } });
    const one = await run("env list -o name --limit 1");
    assert.equal(one.out, "shop\n");
    assert.match(one.err, /There are more/u);
  });

  test("sends a token when there is one, and an idempotency key with every command", async () => {
    answer = (line) =>
      line.startsWith("DELETE")
        ? { status: 202, body: command }
        : { status: 200, body: environment };
    const { asked: sent } = await run("env destroy shop --yes --no-wait", {
      env: { GLASSHOUSE_TOKEN: "abc" },
    });
    assert.equal(sent[0]?.headers.authorization, "Bearer abc");
    assert.match(String(sent[1]?.headers["idempotency-key"]), /^[0-9a-f-]{36}$/u);
  });
});

describe("env destroy", () => {
  const asking = { interactive: true } as const;

  test("asks on a terminal, and destroys nothing without a yes", async () => {
    answer = () => ({ status: 200, body: environment });
    for (const answers of [["n"], [""], []]) {
      const { code, err, asked: sent } = await run("env destroy shop", { ...asking, answers });
      assert.equal(code, 1);
      assert.match(err, /Destroy the environment shop \(deployed-ok, web-shop@1\.0\.0\)\?/u);
      assert.equal(
        sent.some(({ line }) => line.startsWith("DELETE")),
        false,
      );
    }
  });

  test("destroys after a yes, by the id that was shown", async () => {
    answer = (line) =>
      line.startsWith("DELETE")
        ? { status: 202, body: command }
        : { status: 200, body: environment };
    const {
      code,
      out,
      asked: sent,
    } = await run("env destroy shop --no-wait --cascade", {
      ...asking,
      answers: ["y"],
    });
    assert.equal(code, 0);
    assert.match(out, /destroy shop: accepted as cmd_1/u);
    assert.equal(sent.at(-1)?.line, "DELETE /api/v1/environments/env_1?cascade=true");
  });

  test("needs --yes where nobody can be asked", async () => {
    const { code, err, asked: sent } = await run("env destroy shop");
    assert.equal(code, 2);
    assert.match(err, /needs --yes/u);
    assert.equal(
      sent.some(({ line }) => line.startsWith("DELETE")),
      false,
    );
  });
});

describe("an event of the stream", () => {
  test("is read from its data lines; comments and what is not known are left out", () => {
    const event = {
      specversion: "1.0",
      id: "evt_1",
      source: "/",
      type: "run.started",
      subject: "environments/shop",
      time,
      datacontenttype: "application/json",
      data: {},
      position: 7,
      sequence: 1,
    };
    assert.equal(eventOf(`id: 7\nevent: run.started\ndata: ${JSON.stringify(event)}`)?.position, 7);
    assert.equal(eventOf(": heartbeat"), null);
    assert.equal(eventOf("event: gap\ndata: {}"), null);
    assert.equal(eventOf("data: {broken"), null);
  });
});
