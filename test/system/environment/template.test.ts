import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { z } from "zod";
import { templateSummaryView, templateView } from "../../../src/contract/rest-template.ts";
import { writeTemplate } from "../../support/outside.ts";
import { Site } from "../../support/site.ts";

const run = promisify(execFile);

describe("templates over the API", () => {
  let site: Site;
  before(async () => {
    site = await Site.open();
  });
  after(() => site.close());

  const summary = async (reference: string): Promise<z.output<typeof templateView>> =>
    templateView.parse(await site.get(`/templates/${reference}`));

  test("the same version with the same content is the same template; other content is refused", async () => {
    const facts = { name: "still", groups: { a: "1" } };
    const first = await site.register(facts);
    assert.equal(first.status, "completed");
    const again = await site.register(facts);
    assert.equal(again.template, first.template);
    const other = await site.refused("POST", "/templates", {
      body: await site.archive({ ...facts, groups: { a: "2" } }),
    });
    assert.equal(other.status, 409);
    assert.match(other.detail, /still@1\.0\.0/u);
    assert.equal((await summary("still/1.0.0")).id, first.template);
  });

  test("a draft is replaced until it is activated, and is not used before", async () => {
    const facts = { name: "growing", groups: { a: "first" } };
    await site.register(facts, true);
    const early = await site.refused("POST", "/environments", {
      body: { name: "early", template: "growing" },
    });
    assert.match(early.detail, /growing/u);
    await site.register({ ...facts, groups: { a: "second" } }, true);
    assert.equal((await summary("growing/1.0.0")).status, "draft");
    await site.command("template.activate", "growing@1.0.0");
    const frozen = await site.refused("POST", "/templates?draft", {
      body: await site.archive({ ...facts, groups: { a: "third" } }),
    });
    assert.equal(frozen.status, 409, frozen.detail);
    await site.create("grown", "growing");
    assert.equal(await site.outside.read("grown.a.made"), "second");
  });

  test("a deprecated version serves no new environment; a bare name means the highest active release", async () => {
    for (const version of ["1.2.0", "1.10.0", "2.0.0-beta.1"])
      await site.register({ name: "old", version, groups: { a: version } });
    await site.create("newest", "old");
    assert.equal(await site.outside.read("newest.a.made"), "1.10.0");
    await site.command("template.deprecate", "old@1.10.0");
    await site.create("next", "old");
    assert.equal(await site.outside.read("next.a.made"), "1.2.0");
    const refused = await site.refused("POST", "/environments", {
      body: { name: "late", template: "old@1.10.0" },
    });
    assert.equal(refused.status, 409);
    assert.match(refused.detail, /deprecated/u);
    // Those that have it keep working.
    assert.equal((await site.update("newest", {})).status, "succeeded");
    assert.equal((await site.destroy("newest")).status, "succeeded");
  });

  test("mistakes are told with file, line and column, and nothing is half-registered", async () => {
    const problem = await site.refused("POST", "/templates", {
      body: await site.archive({
        name: "wrong",
        groups: { a: "${{ parameters.nobody }}", b: { value: "1", dependsOn: ["c"] } },
      }),
    });
    assert.equal(problem.code, "invalid-template");
    assert.ok((problem.errors?.length ?? 0) >= 2, JSON.stringify(problem));
    for (const error of problem.errors ?? [])
      assert.match(error.place ?? "", /^template\.yaml:\d+:\d+$/u);
    assert.equal((await site.send("GET", "/templates/wrong")).status, 404);
  });

  describe("from a git repository", () => {
    let repository: string;
    let url: string;
    const commits: string[] = [];
    const versions = ["1.0.0", "2.0.0", "3.0.0-wild"];
    const git = async (...args: readonly string[]): Promise<string> => {
      const identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"];
      const { stdout } = await run("git", ["-C", repository, ...identity, ...args]);
      return stdout.trim();
    };
    const commit = async (version: string, value: string): Promise<void> => {
      const facts = { name: "tracked", version, groups: { a: value } };
      await writeTemplate(join(repository, "deep", "shop"), site.outside, facts);
      await git("add", "-A");
      await git("commit", "-qm", version);
      commits.push(await git("rev-parse", "HEAD"));
    };
    before(async () => {
      repository = join(site.directory, "repository");
      url = `file://${repository}`;
      await run("git", ["init", "-q", "-b", "main", repository]);
      await commit("1.0.0", "one");
      await git("tag", "v1");
      await commit("2.0.0", "two");
      await git("checkout", "-q", "-b", "wild");
      await commit("3.0.0-wild", "wild");
      await git("checkout", "-q", "main");
    });
    const from = (ref?: string): Promise<unknown> =>
      site.ask("POST", "/templates", {
        body: { repository: url, path: "deep/shop", ...(ref === undefined ? {} : { ref }) },
      });

    test("at a tag, a branch, a commit and the head, it is pinned to the commit", async () => {
      await from("v1");
      await from();
      await from("wild");
      await from(commits[0]);
      const list = z.object({ items: z.array(templateSummaryView) });
      const { items } = list.parse(await site.get("/templates/tracked"));
      const pinned = items.map(({ version, source }) => [version, source.commit] as const);
      assert.deepEqual(new Map(pinned), new Map(versions.map((name, at) => [name, commits[at]])));
      assert.equal(items.length, versions.length);
    });

    test("what cannot be fetched says what and where", async () => {
      const nowhere = await site.refused("POST", "/templates", {
        body: { repository: url, path: "deep/shop", ref: "nowhere" },
      });
      assert.ok(nowhere.status < 500, JSON.stringify(nowhere));
      assert.match(nowhere.detail, /nowhere/u);
      const noFolder = await site.refused("POST", "/templates", {
        body: { repository: url, path: "deep/none" },
      });
      assert.match(noFolder.detail, /deep\/none/u);
      const up = await site.refused("POST", "/templates", {
        body: { repository: url, path: "../.." },
      });
      assert.equal(up.code, "unsafe-path");
      for (const repositoryUrl of ["--upload-pack=touch /tmp/x", "ext::sh -c id", "ssh://h/r"]) {
        const refused = await site.refused("POST", "/templates", {
          body: { repository: repositoryUrl },
        });
        assert.equal(refused.status, 400, JSON.stringify(refused));
      }
    });

    test("an environment is made, updated and destroyed after the repository is gone", async () => {
      await from("v1");
      await site.create("kept", "tracked@1.0.0");
      assert.equal(await site.outside.read("kept.a.made"), "one");
      await rm(repository, { recursive: true });
      await site.update("kept", { template: "tracked@2.0.0" });
      assert.equal(await site.outside.read("kept.a.made"), "two");
      assert.equal((await site.destroy("kept")).status, "succeeded");
      assert.deepEqual(await site.outside.made("kept"), []);
    });
  });

  test("archives that leave their folder are refused", async () => {
    const folder = join(site.directory, "evil");
    await run("mkdir", ["-p", folder]);
    await writeFile(
      join(folder, "template.yaml"),
      '{"apiVersion":"glasshouse/v1","kind":"Template","name":"evil","version":"1.0.0","groups":{"a":{"executor":"command","with":{"create":["true"]}}}}',
    );
    await run("ln", ["-s", "/etc/passwd", join(folder, "link")]);
    const file = join(site.directory, "evil.tar.gz");
    const hostile = [
      ["-C", folder, "template.yaml", "link"],
      ["-P", "-C", folder, "template.yaml", "--transform", "s,template.yaml,../template.yaml,"],
    ];
    for (const args of hostile) {
      await run("tar", ["-czf", file, ...args]);
      const { stdout } = await run("cat", [file], { encoding: "buffer" });
      const problem = await site.refused("POST", "/templates", { body: new Uint8Array(stdout) });
      assert.equal(problem.code, "unsafe-path", JSON.stringify(problem));
    }
    assert.equal((await site.send("GET", "/templates/evil")).status, 404);
  });
});
