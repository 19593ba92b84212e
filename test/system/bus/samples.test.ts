import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { registerLoad } from "../../support/bus-load.ts";
import { openBusSite, type BusSite } from "../../support/bus-site.ts";
import { rabbitmqSkip } from "../../support/rabbitmq.ts";

const samples = join(import.meta.dirname, "..", "..", "..", "docs", "samples");
const python = ["python3", "/usr/bin/python3"].find((program) =>
  runs(program, ["-c", "import pika"]),
);
const go = runs("go", ["version"]);
const mayMiss = process.env["CI"] !== "true";

suite("the samples of the bus", { skip: rabbitmqSkip }, () => {
  let at: BusSite;
  before(async () => {
    at = await openBusSite();
    await registerLoad(at.site);
    // The queue of commands is there once the first one was answered.
    await at.client.until(() => at.client.events.length > 0, "the first event");
  });
  after(() => at.close());

  const pythonSkip = python === undefined && mayMiss ? "no python3 with pika" : false;
  test(
    "order an environment from Python, and say what is wrong",
    { skip: pythonSkip },
    async () => {
      const script = join(samples, "order.py");
      await ordered(python ?? "python3", [script], "from-python");
    },
  );

  const goSkip = !go && mayMiss ? "no go" : false;
  test("order an environment from Go, and say what is wrong", { skip: goSkip }, async () => {
    const program = join(at.site.directory, "order");
    const cwd = join(samples, "order-go");
    await promisify(execFile)("go", ["build", "-o", program, "."], { cwd });
    await ordered(program, [], "from-go");
  });

  async function ordered(program: string, args: readonly string[], name: string): Promise<void> {
    const { url } = at.broker;
    const { stdout } = await promisify(execFile)(program, [...args, url, name, "load"]);
    assert.match(stdout, /^command\.accepted.*\ncommand\.completed/u);
    assert.equal((await at.site.environment(name)).status, "deployed-ok");
    await assert.rejects(
      promisify(execFile)(program, [...args, url, `${name}-2`, "no-such-template"]),
      ({ stdout: words }: { readonly stdout: string }) =>
        /command\.refused.*not-found/u.test(words),
    );
  }
});

function runs(program: string, args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
