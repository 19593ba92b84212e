import assert from "node:assert/strict";
import { test } from "node:test";
import { cases, group, head, problemsOf, web } from "./hostile-harness.fixture.ts";

cases("malformed YAML is refused with its place and a way out", [
  [
    "an unquoted choice",
    `${head}description: ¦\${{ a ? b : c }}\n`,
    /not valid YAML/u,
    /quote the whole value/u,
  ],
  [
    "an unquoted expression in a flow map",
    `${head}tags: { a: $¦{{ x }} }\n`,
    /not valid YAML/u,
    /quote the whole value/u,
  ],
  [
    "an unquoted expression in a list",
    `${head}tags: [$¦{{ x }}, 1]\n`,
    /not valid YAML/u,
    /quote the whole value/u,
  ],
  ["an open list", `${head}tags: [a, b\n¦${group}`, /not valid YAML/u, /brackets/u],
  [
    "a tab as indentation",
    `${head}groups:\n¦\tweb: {}\n`,
    /not valid YAML.*Tabs/u,
    /indent with spaces/u,
  ],
  [
    "a second document",
    `${head}${group}¦---\na: 1\n`,
    /several documents/u,
    /remove everything from the second/u,
  ],
  ["a directive", `¦%YAML 1.1\n---\n${head}`, /directives.*not taken/u, /remove them/u],
  ["an empty file", `¦`, /is empty/u, /apiVersion: glasshouse\/v1/u],
  ["a list instead of a map", `¦- a\n`, /must be a map/u, /not a list/u],
  [
    "a NUL character",
    `${head}description: "a¦\0"\n${group}`,
    /control character \\x00/u,
    /remove it/u,
  ],
]);

cases("YAML that hides or multiplies is refused", [
  [
    "an alias",
    `${head}description: &d x\ntags: { a: ¦*d }\n${group}`,
    /alias \*d is not taken/u,
    /write the value out/u,
  ],
  ["a merge key", `${head}¦<<: { name: x }\n${group}`, /unknown key <</u, /may have/u],
  [
    "an unknown tag",
    `${head}description: !foo ¦x\n${group}`,
    /tag !foo is not taken/u,
    /remove it/u,
  ],
  [
    "a binary tag",
    `${head}description: !!binary ¦aGk=\n${group}`,
    /tag .*binary is not taken/u,
    /remove it/u,
  ],
  [
    "a duplicate key",
    `${head}${group}¦name: other\n`,
    /name stands here twice/u,
    /remove one or rename/u,
  ],
  [
    "a duplicate group",
    `${head}groups:\n  web: { executor: command, with: { create: [./up] } }\n  ¦web: {}\n`,
    /web stands here twice/u,
    /remove one or rename/u,
  ],
  ["a key that is no text", `${head}tags: { ¦1: x }\n${group}`, /key 1 is not text/u, /quote it/u],
  [
    "a key that is a map",
    `${head}tags: ¦{ ? { a: 1 } : x }\n${group}`,
    /key is not a plain word/u,
    /quote the value/u,
  ],
  [
    "a huge integer",
    web("{ create: [./up], slots: ¦12345678901234567890 }"),
    /beyond ±9007199254740991/u,
    /quote it/u,
  ],
  ["infinity", web("{ create: [./up], slots: ¦.inf }"), /no number that JSON has/u, /finite/u],
  [
    "a forged secret",
    web('{ create: [./up], inputs: { a: { ¦$secret: "sec_1", fingerprint: x } } }'),
    /\$secret is reserved/u,
    /another name/u,
  ],
  [
    "a prototype key",
    web("{ create: [./up], inputs: { ¦__proto__: 1 } }"),
    /__proto__ is reserved/u,
    /another name/u,
  ],
]);

test("a YAML bomb of aliases costs nothing and is refused", () => {
  const levels = Array.from(
    { length: 30 },
    (_, n) => `l${n + 1}: &l${n + 1} [${Array.from({ length: 10 }, () => `*l${n}`).join(", ")}]`,
  );
  const problems = problemsOf(`l0: &l0 x\n${levels.join("\n")}\n`);
  assert.match(problems[0]?.message ?? "", /alias \*l0 is not taken: write the value out/u);
  assert.equal(`${problems[0]?.line}:${problems[0]?.column}`, "2:10");
});

test("nesting without end is refused, not followed", () => {
  const [problem] = problemsOf(
    `${head}outputs: { a: ${"[".repeat(200)}1${"]".repeat(200)} }\n${group}`,
  );
  assert.match(problem?.message ?? "", /more than 50 levels deep: make it flatter/u);
  assert.equal(problem?.line, 5);
  assert.ok(problemsOf("[".repeat(20_000)).length > 0);
  assert.ok(problemsOf("{a: ".repeat(20_000)).length > 0);
});
