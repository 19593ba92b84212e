import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { assertClean, assertFilesClean, processTexts } from "../../support/canary.ts";
import { Site } from "../../support/site.ts";

/** Reads the secret from its standard input, writes it where the test alone looks, and prints it. */
const keep = `#!/bin/sh
set -eu
value=$(grep -o '"password":"[^"]*"' | cut -d '"' -f 4)
echo "it is $value"
printf '%s' "$value" > "$1/$GLASSHOUSE_ENVIRONMENT_NAME.$GLASSHOUSE_GROUP.value"
echo "$GLASSHOUSE_GROUP" >> "$1/$GLASSHOUSE_ENVIRONMENT_NAME.made"
while [ -e "$1/hold" ]; do sleep 0.05; done
`;

describe("secrets that a template declares", () => {
  let site: Site;
  const seen: string[] = [];
  before(async () => {
    site = await Site.open({ env: { GLASSHOUSE_TELEMETRY_LEVEL: "debug" } });
    const create = ["./keep", site.outside.directory];
    const user = (text: string) => ({
      more: { with: { create, inputs: { password: text }, repeatable: true }, outputs: [] },
    });
    await site.register({
      name: "vaulted",
      more: {
        secrets: { one: { length: 40 }, two: { length: 12, charset: "hex", rotate: "90d" } },
        outputs: { handed_on: "${{ secrets.two }}" },
      },
      groups: {
        first: user("${{ secrets.one }}"),
        second: user("${{ secrets.one }}"),
        third: user("x${{ secrets.two }}y"),
        plain: "p",
      },
      files: { keep },
    });
  });
  after(() => site.close());

  async function value(name: string, group: string): Promise<string> {
    const text = (await site.outside.read(`${name}.${group}.value`)) ?? "";
    seen.push(text);
    return text;
  }

  test("are generated once and handed to everything that uses them, on standard input alone", async () => {
    await site.outside.write("hold");
    const command = await site.ask("POST", "/environments", {
      body: { name: "own", template: "vaulted" },
    });
    while ((await site.outside.read("own.first.value")) === null)
      await new Promise((resolve) => {
        setTimeout(resolve, 40);
      });
    const one = await value("own", "first");
    for (const { what, bytes } of await processTexts()) assertClean(what, bytes, [one]);
    await site.outside.remove("hold");
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.match(one, /^[A-Za-z0-9]{40}$/u);
    assert.equal(await value("own", "second"), one);
    const two = await value("own", "third");
    assert.match(two, /^x[0-9a-f]{12}y$/u);
    seen.push(two.slice(1, -1));
    await site.create("other", "vaulted");
    assert.notEqual(await value("other", "first"), one);
  });

  test("are shown by name and version, never by value", async () => {
    const { secrets, outputs } = await site.environment("own");
    assert.deepEqual(
      secrets.map(({ name, template, version, keeper }) => ({ name, template, version, keeper })),
      [
        { name: "one", template: "vaulted", version: 1, keeper: "embedded" },
        { name: "two", template: "vaulted", version: 1, keeper: "embedded" },
      ],
    );
    const [one, two] = secrets;
    assert.equal(one?.rotateAt, null);
    const dueMs = Date.parse(two?.rotateAt ?? "") - Date.parse(two?.rotatedAt ?? "");
    assert.equal(dueMs, 90 * 86_400_000);
    assert.deepEqual(outputs, { handed_on: "(secret)" });
  });

  test("stay as they are when nothing is asked of them", async () => {
    const run = await site.update("own", {});
    assert.equal(run.progress.skipped, run.progress.total, JSON.stringify(run.progress));
    assert.equal(await value("own", "first"), seen[0]);
  });

  test("a plan says what a rotation would do and makes nothing", async () => {
    const plan = await site.plan("planned", { template: "vaulted" });
    const step = plan.steps.find(({ key }) => key === "secret:vaulted/one");
    assert.equal(step?.reason, "new secret: its value is generated");
    assert.deepEqual(step.changes, [{ address: "secrets.one", action: "create" }]);
    assert.equal(await site.outside.read("planned.first.value"), null);
  });

  test("rotate makes a new version and runs what uses it again, and nothing else", async () => {
    await site.outside.remove("own.made");
    const two = await value("own", "third");
    const command = await site.ask("POST", "/environments/own/rotate", {
      body: { secrets: ["one"] },
    });
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const made = (await site.outside.read("own.made"))?.trim().split("\n").toSorted();
    assert.deepEqual(made, ["first", "second"]);
    const fresh = await value("own", "first");
    assert.notEqual(fresh, seen[0]);
    assert.equal(await value("own", "second"), fresh);
    assert.equal(await value("own", "third"), two);
    const { secrets } = await site.environment("own");
    assert.deepEqual(
      secrets.map(({ version }) => version),
      [2, 1],
    );
    const all = await site.settled(await site.ask("POST", "/environments/own/rotate"));
    assert.equal(all.status, "succeeded", all.reason ?? "");
    assert.notEqual(await value("own", "third"), two);
  });

  test("rotate refuses what is not declared, and says what is", async () => {
    const unknown = await site.refused("POST", "/environments/own/rotate", {
      body: { secrets: ["ones"] },
    });
    assert.equal(unknown.code, "not-found");
    assert.match(unknown.detail, /did you mean one\?/u);
    await site.register({ name: "bare", groups: { plain: "p" } });
    await site.create("bare", "bare");
    const none = await site.refused("POST", "/environments/bare/rotate");
    assert.match(none.detail, /declares no secrets and no certificates/u);
  });

  test("no answer, event, log and file holds a value", async () => {
    const texts: unknown[] = [await site.environment("own"), await site.events("own")];
    for (const path of ["runs", "resources", "graph", "drift", "plans"])
      texts.push((await site.send("GET", `/environments/own/${path}`)).body);
    texts.push(await site.get("/events?limit=500&after=0"));
    const run = await site.create("logged", "vaulted");
    for (const group of ["first", "second", "third"]) await value("logged", group);
    for (const step of await site.steps(run)) texts.push(step, await site.log(step));
    const log = await site.log(await site.step(run, "apply:vaulted/first"));
    assert.match(log, /it is \(secret\)/u);
    for (const [at, text] of texts.entries())
      assertClean(`answer ${at}`, Buffer.from(JSON.stringify(text)), seen);
    await assertFilesClean(site.data, seen);
    assertClean("the server's output", Buffer.from(site.server.output), seen);
  });

  test("go with their environment, after what used them", async () => {
    const run = await site.destroy("own");
    assert.equal(run.status, "succeeded", run.reason ?? "");
    const steps = await site.steps(run);
    const keys = steps.filter(({ phase }) => phase === "secret").map(({ key }) => key);
    assert.deepEqual(keys.toSorted(), ["secret:vaulted/one", "secret:vaulted/two"]);
    assert.deepEqual((await site.environment("own")).secrets, []);
  });
});
