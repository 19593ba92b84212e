import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import type { GroupCase } from "../../../src/testing/executor-group.ts";
import { TestGroup } from "../../../src/testing/executor-group.ts";
import { until } from "../../../src/testing/processes.ts";
import { isJsonObject } from "../../../src/lib/json.ts";
import { engines } from "./engines.ts";

const root = mkdtempSync(join(tmpdir(), "glasshouse-providers-"));
after(() => rmSync(root, { recursive: true, force: true }));

for (const { name, executor, skip } of engines) {
  suite(`real providers with ${name}`, { skip }, () => {
    test("init runs once, and again only when the files change", async () => {
      const { group } = begin();
      group.keep(await executor.apply(group.context()));
      assert.equal(group.children.length, 2, "cold: init and apply");
      group.keep(await executor.apply(group.context()));
      assert.equal(group.children.length, 3, "warm: apply");
      group.change(place(root, "# changed\n"));
      group.keep(await executor.apply(group.context()));
      assert.equal(group.children.length, 5);
    });

    test("the lock file is remembered, and binding when the work directory is lost", async () => {
      const { group } = begin();
      const { memory } = group.keep(await executor.apply(group.context()));
      assert.ok(isJsonObject(memory) && typeof memory["lockFile"] === "string");
      assert.match(memory["lockFile"], /hashicorp\/local/u);
      group.loseWorkDirectory();
      const again = group.keep(await executor.apply(group.context()));
      assert.deepEqual(again.memory, memory);
      assert.deepEqual(again.changes, []);
    });

    test("drift is found where there is some, and none where there is none", async () => {
      const { group, file } = begin();
      group.keep(await executor.apply(group.context()));
      const before = await executor.observe(group.context());
      assert.deepEqual([before.drift, before.changes], ["none", []]);
      rmSync(file);
      const seen = await executor.observe(group.context());
      assert.equal(seen.drift, "drifted");
      assert.deepEqual(
        seen.changes.map(({ address, action }) => [address, action]),
        [["local_file.it", "destroy"]],
      );
      assert.ok(!existsSync(file));
      const made = group.keep(await executor.apply(group.context()));
      assert.deepEqual(made.changes, [{ address: "local_file.it", action: "create" }]);
      assert.equal(readFileSync(file, "utf8"), "hello");
    });

    test("what the configuration no longer has is destroyed, also by a worker that starts from nothing", async () => {
      const { group, file } = begin();
      group.keep(await executor.apply(group.context()));
      group.loseWorkDirectory();
      group.change({
        settings: { source: "." },
        files: { "main.tf": { text: "locals {}" } },
        outputs: [],
      });
      const planned = await executor.plan(group.context());
      assert.deepEqual(
        planned.changes.map(({ action }) => action),
        ["destroy", "destroy"],
      );
      assert.ok(existsSync(file));
      group.keep(await executor.apply(group.context()));
      assert.ok(!existsSync(file));
      await executor.destroy(group.context());
    });

    test("a saved plan of real providers is applied by another worker", async () => {
      const { group, file } = begin();
      const { saved, changes } = await executor.plan(group.context());
      assert.equal(changes.length, 2);
      group.loseWorkDirectory();
      const made = await executor.apply(group.context({ sealedPlan: saved }));
      assert.equal(made.outputs["path"], file);
      assert.equal(readFileSync(file, "utf8"), "hello");
    });

    test("modules of the template are used, and must be among the group's files", async () => {
      const { group, file } = begin();
      const { files } = place(file, "");
      const caller = { text: `module "m" {\n  source = "../shared"\n}\n` };
      const shared = { "root/main.tf": caller, "shared/main.tf": files["main.tf"] ?? { text: "" } };
      group.change({ settings: { source: "root" }, files: shared, outputs: [] });
      await assert.rejects(executor.apply(group.context()), /files: \[shared\]/u);
      group.change({ settings: { source: "root", files: ["shared"] }, files: shared, outputs: [] });
      const made = group.keep(await executor.apply(group.context()));
      assert.deepEqual(
        made.observed.map(({ address }) => address),
        ["module.m.local_file.it", "module.m.time_static.now"],
      );
    });

    test("a module from elsewhere is part of the record: destroy works when its repository is gone", async () => {
      const { group, file } = begin();
      const repository = mkdtempSync(join(root, "r-"));
      writeFileSync(join(repository, "main.tf"), place(file, "").files["main.tf"]?.text ?? "");
      const git = (...args: readonly string[]): unknown =>
        execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], {
          cwd: repository,
        });
      git("init", "--quiet");
      git("add", ".");
      git("commit", "--quiet", "--message", "a module");
      const text = `module "m" {\n  source = "git::file://${repository}"\n}\n`;
      group.change({ settings: { source: "." }, files: { "main.tf": { text } }, outputs: [] });
      group.keep(await executor.apply(group.context()));
      assert.ok(existsSync(file));
      rmSync(repository, { recursive: true });
      group.loseWorkDirectory();
      await executor.destroy(group.context());
      assert.ok(!existsSync(file));
    });

    test("a provider that is nowhere to be had is named", async () => {
      const { group } = begin();
      const text = 'resource "nonesuch_thing" "x" {}';
      group.change({ settings: { source: "." }, files: { "main.tf": { text } }, outputs: [] });
      await assert.rejects(executor.apply(group.context()), /init of group web failed.*nonesuch/su);
    });

    test("a provider that waits is stopped when asked, and killed when asked harder", async () => {
      for (const hard of [false, true]) {
        const { group } = begin();
        group.change(sleeping);
        const [stop, kill] = [new AbortController(), new AbortController()];
        const running = executor.apply(group.context({ signal: stop.signal, kill: kill.signal }));
        running.catch(() => undefined);
        await until(() => group.lines.some((line) => line.includes("time_sleep.long: Creating")));
        if (hard) kill.abort();
        else stop.abort();
        await assert.rejects(running, { code: "step-interrupted" });
        group.change(place(root, ""));
        group.keep(await executor.apply(group.context()));
      }
    });
  });
}

const sleeping: GroupCase = {
  settings: { source: "." },
  files: { "main.tf": { text: 'resource "time_sleep" "long" {\n  create_duration = "60s"\n}\n' } },
  outputs: [],
};

function begin(): { readonly group: TestGroup; readonly file: string } {
  const directory = mkdtempSync(join(root, "p-"));
  const file = join(directory, "file");
  return { group: new TestGroup(join(directory, "work"), place(file, "")), file };
}

/** A file at this path and a time that stands still. */
function place(path: string, comment: string): GroupCase {
  const file = path === root ? join(mkdtempSync(join(root, "f-")), "file") : path;
  const text = `${comment}
resource "local_file" "it" {
  filename = "${file}"
  content  = "hello"
}
resource "time_static" "now" {}
output "path" { value = local_file.it.filename }
`;
  return { settings: { source: "." }, files: { "main.tf": { text } }, outputs: ["path"] };
}
