import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Site } from "../../support/site.ts";

describe("actions", () => {
  let site: Site;
  before(async () => {
    site = await Site.open();
    const say = (words: readonly string[], more: object = {}): object => ({
      description: "Says something",
      app: { name: "say", command: ["./say", site.outside.directory, ...words] },
      ...more,
    });
    await site.register({
      name: "acting",
      more: {
        parameters: { size: { type: "integer", default: 2 } },
        actions: {
          tell: say(["${{ environment.name }}", "${{ parameters.size }}", out("a")]),
          fail: say(["fail", "1"]),
          busy: say(["hold"]),
        },
      },
      groups: { a: "made" },
      files: {
        say: `#!/bin/sh
set -eu
world=$1; shift
echo "said: $*"
if [ "$1" = hold ]; then echo held > "$world/held"; while [ ! -e "$world/go" ]; do sleep 0.05; done; fi
[ "$1" != fail ] || exit 3
echo "$*" >> "$world/said"
`,
      },
    });
    await site.create("acts", "acting");
  });
  after(() => site.close());

  test("a named action runs its command with what was made, and leaves the status alone", async () => {
    const command = await site.ask("POST", "/environments/acts/actions/tell");
    const run = await site.settled(command);
    assert.equal(run.status, "succeeded", run.reason ?? "");
    assert.equal(run.kind, "action");
    assert.equal(run.action, "tell");
    assert.equal(await site.outside.read("said"), "acts 2 made\n");
    const [step] = await site.steps(run);
    assert.ok(step !== undefined);
    assert.match(await site.log(step), /said: acts 2 made/u);
    assert.equal((await site.environment("acts")).status, "deployed-ok");
  });

  test("a failing action fails its run and nothing else", async () => {
    const command = await site.ask("POST", "/environments/acts/actions/fail");
    const run = await site.settled(command);
    assert.equal(run.status, "failed");
    assert.match(run.reason ?? "", /3/u);
    assert.equal((await site.commandNow(command)).status, "failed");
    const environment = await site.environment("acts");
    assert.equal(environment.status, "deployed-ok");
    assert.equal(environment.failure, null);
  });

  test("an action is cancelled like any run", async () => {
    const command = await site.ask("POST", "/environments/acts/actions/busy");
    await site.runWhen(command, ({ status }) => status === "running");
    while ((await site.outside.read("held")) === null) {
      await new Promise((resolve) => {
        setTimeout(resolve, 40);
      });
    }
    await site.ask("POST", `/runs/${command.run}/cancel`);
    assert.equal((await site.settled(command)).status, "cancelled");
    assert.equal((await site.environment("acts")).status, "deployed-ok");
  });

  test("an unknown action is refused with the near one; so is one of what is destroyed", async () => {
    const problem = await site.refused("POST", "/environments/acts/actions/tel");
    assert.equal(problem.status, 404);
    assert.match(problem.detail, /did you mean tell/u);
    await site.destroy("acts");
    const gone = await site.refused("POST", "/environments/acts/actions/tell");
    assert.equal(gone.status, 409);
  });
});

function out(group: string): string {
  return `\${{ groups.${group}.outputs.value }}`;
}
