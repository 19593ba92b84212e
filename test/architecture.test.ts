import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { findBreaches, readLayers, readSources, type SourceFile } from "./architecture.ts";

const root = join(import.meta.dirname, "..");
/** Fewer than the project has had for long: a reader that finds less is broken, whatever it says about them. */
const fewestFiles = 100;

describe("the source", () => {
  test("keeps to the table of ARCHITECTURE.md", () => {
    const layers = readLayers(readFileSync(join(root, "ARCHITECTURE.md"), "utf8"));
    const files = readSources(join(root, "src"));
    assert.ok(files.length >= fewestFiles, `only ${files.length} files were seen`);
    assert.deepEqual(findBreaches(layers, files), []);
  });
});

describe("the architecture test", () => {
  const layers = readLayers(
    [
      "| folder in `src/` | what lives there | may import | packages |",
      "| --- | --- | --- | --- |",
      "| `lib/` | helpers | – | none |",
      "| `domain/` | nouns | `lib` | `cel` |",
      "| `adapters/*/*/` | adapters | `domain` | any |",
      "| `adapters/stores/*/` | stores | `domain`, `adapters/stores/sql` | any |",
      "| `clients/*/` | clients | `domain/errors` | any |",
      "| `testing/` | fakes | `domain` | any |",
      "| `views/` (later) | views | `domain` | any |",
    ].join("\n"),
  );
  const complete: Readonly<Record<string, string>> = {
    "lib/a.ts": "",
    "domain/b.ts": 'import { a } from "../lib/a.ts";\nimport { cel } from "cel";',
    "domain/errors.ts": "",
    "adapters/checks/tcp/index.ts": 'import type { b } from "../../../domain/b.ts";',
    "adapters/checks/http/index.ts": "",
    "adapters/stores/sql/index.ts": "",
    "adapters/stores/sqlite/index.ts": 'export * from "../sql/index.ts";',
    "clients/process/index.ts": 'import { e } from "../../domain/errors.ts";',
    "testing/fake.ts": "",
  };
  const breaches = (changes: Readonly<Record<string, string>>): readonly string[] => {
    const files: SourceFile[] = Object.entries({ ...complete, ...changes }).map(([path, text]) => ({
      path,
      text,
    }));
    return findBreaches(layers, files);
  };
  const refuses = (changes: Readonly<Record<string, string>>, expected: RegExp): void => {
    const found = breaches(changes);
    assert.equal(found.length, 1, found.join("\n"));
    assert.match(found[0] ?? "", expected);
  };

  test("accepts files that keep to the table", () => {
    assert.deepEqual(breaches({}), []);
  });

  test("refuses every kind of import of what is above", () => {
    for (const text of [
      'import { b } from "../domain/b.ts";',
      'import type { b } from "../domain/b.ts";',
      'import {\n  b,\n} from "../domain/b.ts";',
      'import "../domain/errors.ts";',
      'export * from "../domain/errors.ts";',
      'export type { b } from "../domain/errors.ts";',
      'const b = await import("../domain/errors.ts");',
      'type B = import("../domain/errors.ts").B;',
      'new Worker(new URL("../domain/errors.ts", import.meta.url));',
    ]) {
      const found = breaches({ "lib/c.ts": text });
      assert.match(found.join("\n"), /^lib\/c\.ts: may not import domain/u, text);
    }
  });

  test("refuses an import from one adapter into another", () => {
    const text = 'import { x } from "../http/index.ts";';
    refuses(
      { "adapters/checks/tcp/index.ts": text },
      /tcp.*may not import adapters\/checks\/http/u,
    );
  });

  test("refuses a file beside the one that a row names", () => {
    refuses({ "clients/process/index.ts": 'import { b } from "../../domain/b.ts";' }, /may not/u);
  });

  test("refuses a folder without a row, and a file outside all folders", () => {
    refuses({ "utils/a.ts": "" }, /utils\/a\.ts: its folder has no row/u);
    refuses({ "main.ts": "" }, /main\.ts: its folder has no row/u);
  });

  test("refuses a row without a file, and a file under a row that says later", () => {
    const { "testing/fake.ts": _fake, ...rest } = complete;
    const files = Object.entries(rest).map(([path, text]) => ({ path, text }));
    assert.deepEqual(findBreaches(layers, files), [
      "ARCHITECTURE.md: testing has a row but no file",
    ]);
    refuses({ "views/graph.ts": "" }, /views is there/u);
  });

  test("refuses a package that the row does not name, but not in tests", () => {
    refuses({ "domain/c.ts": 'import { z } from "zod";' }, /may not import the package zod/u);
    refuses(
      { "domain/c.ts": 'import { f } from "node:fs";' },
      /may not import the package node:fs/u,
    );
    assert.deepEqual(breaches({ "domain/b.test.ts": 'import test from "node:test";' }), []);
  });

  test("lets only tests and their fixtures import testing", () => {
    const text = 'import { fake } from "../testing/fake.ts";';
    assert.deepEqual(breaches({ "domain/b.test.ts": text, "domain/b.fixture.ts": text }), []);
    refuses({ "domain/c.ts": text }, /domain\/c\.ts: may not import testing\/fake\.ts/u);
  });

  test("lets only tests import a fixture", () => {
    const text = 'import { b } from "./b.fixture.ts";';
    assert.deepEqual(breaches({ "domain/b.fixture.ts": "", "domain/b.test.ts": text }), []);
    refuses({ "domain/b.fixture.ts": "", "domain/c.ts": text }, /may not import a fixture/u);
  });

  test("refuses a cycle, also one of types alone", () => {
    refuses(
      {
        "lib/c.ts": 'import type { d } from "./d.ts";',
        "lib/d.ts": 'import type { c } from "./c.ts";',
      },
      /cycle: lib\/c\.ts → lib\/d\.ts → lib\/c\.ts/u,
    );
  });

  test("refuses imports that it cannot follow", () => {
    refuses({ "lib/c.ts": "await import(name);" }, /computed path/u);
    refuses({ "lib/c.ts": 'const x = require("fs");' }, /require/u);
    refuses({ "lib/c.ts": ' import { a } from "./a.ts";' }, /1 imports written, 0 understood/u);
    refuses({ "lib/c.ts": 'import { a } from "./gone.ts";' }, /is no \.ts file below src/u);
  });
});
