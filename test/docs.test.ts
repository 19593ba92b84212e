import assert from "node:assert/strict";
import { existsSync, globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { lintDirectory } from "../src/app/lint.ts";
import { blocksOf } from "./support/walkthrough.ts";

const root = join(import.meta.dirname, "..");
const pages = globSync(["*.md", "docs/**/*.md", "templates/*/README.md"], { cwd: root });

function textOf(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

describe("the documents", () => {
  const executors = readdirSync(join(root, "src/adapters/executors"));

  test("have a page for each executor, and the composition names each", () => {
    assert.ok(executors.length >= 2);
    const documented = readdirSync(join(root, "docs/executors")).map((file) =>
      file.replace(/\.md$/u, ""),
    );
    assert.deepEqual(documented.toSorted(), executors.toSorted());
    const composition = textOf("src/app/compose.ts");
    const composed = [
      ...composition.matchAll(/from "\.\.\/adapters\/executors\/([^/]+)\/index\.ts"/gu),
    ].map((match) => match[1] ?? "");
    assert.deepEqual(composed.toSorted(), executors.toSorted());
  });

  test("say every setting of each executor on its page", () => {
    const schema = textOf("docs/reference/template.schema.json");
    for (const executor of executors) {
      const settings = textOf(`src/adapters/executors/${executor}/settings.ts`);
      const shape = /fields: \{(.*?)\n\} as const satisfies SettingsShape/su.exec(settings)?.[1];
      const names = [...(shape ?? "").matchAll(/^ {4}(\w+): \{/gmu)].flatMap(
        ([, name]) => name ?? [],
      );
      assert.ok(names.length >= 3, `only ${names.length} settings of ${executor} were found`);
      for (const name of names) {
        assert.ok(schema.includes(`"${name}"`), `${name} is no setting`);
        const page = textOf(`docs/executors/${executor}.md`);
        assert.match(page, new RegExp(`^\\| \`${name}[\`.]`, "mu"), `${name} is not explained`);
      }
    }
  });

  test("lead only to files that exist", () => {
    assert.ok(pages.length >= 12);
    const broken = pages.flatMap((page) =>
      [...textOf(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)/gu)]
        .map((match) => match[1] ?? "")
        .filter((link) => !existsSync(join(root, dirname(page), link)))
        .map((link) => `${page}: ${link}`),
    );
    assert.deepEqual(broken, []);
  });

  test("show sections of a template that are well-formed together", async () => {
    const sections = blocksOf(textOf("docs/templates.md"))
      .filter(({ info }) => info === "yaml")
      .map(({ text }) => text)
      .filter((text) =>
        /^(?:apiVersion|[a-z]+):(?: \{|$)|^apiVersion/mu.test(text.split("\n")[0] ?? ""),
      );
    assert.equal(sections.length, 9);
    const folder = mkdtempSync(join(tmpdir(), "glasshouse-docs-"));
    try {
      for (const directory of ["network", "web"]) mkdirSync(join(folder, directory));
      writeFileSync(join(folder, "network/main.tf"), 'variable "region" {}\n');
      for (const program of ["up", "down", "look", "restart"]) {
        writeFileSync(join(folder, "web", program), "#!/bin/sh\n");
        chmodSync(join(folder, "web", program), 0o755);
      }
      writeFileSync(join(folder, "template.yaml"), sections.join("\n"));
      const { mistakes } = await lintDirectory(folder, ".");
      assert.deepEqual(mistakes, []);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("are reached from the README", () => {
    const seen = new Set<string>();
    const waiting = ["README.md"];
    for (let page = waiting.pop(); page !== undefined; page = waiting.pop()) {
      if (seen.has(page)) continue;
      seen.add(page);
      for (const [, link = ""] of textOf(page).matchAll(/\]\((?!https?:|#)([^)#\s]+\.md)/gu))
        waiting.push(join(dirname(page), link));
    }
    const guides = pages.filter((page) => /^docs\/(?!adr\/)/u.test(page));
    assert.deepEqual(
      guides.filter((page) => !seen.has(page)),
      [],
    );
  });
});
