import assert from "node:assert/strict";
import { test } from "node:test";
import { cases, expectProblem, group, head, web } from "./hostile-harness.fixture.ts";

cases("keys and types that the schema does not know are refused", [
  [
    "a mistyped section",
    `${head}¦paramters: {}\n${group}`,
    /unknown key paramters/u,
    /did you mean parameters\?/u,
  ],
  [
    "a mistyped key of a group",
    `${head}groups:\n  web:\n    executor: command\n    ¦dependson: []\n`,
    /unknown key dependson/u,
    /did you mean dependsOn\?/u,
  ],
  [
    "an unknown setting",
    web("{ create: [./up], ¦destory: [./up] }"),
    /unknown key destory/u,
    /did you mean destroy\?/u,
  ],
  [
    "an unquoted version",
    `${head.replace("1.0.0", "¦1.0")}${group}`,
    /version must be a version/u,
    /"1\.2\.0", not 1/u,
  ],
  [
    "a version that is none",
    `${head.replace("1.0.0", "¦v1")}${group}`,
    /must be a semantic version/u,
    /"1\.2\.0"/u,
  ],
  [
    "a bad name",
    `${head.replace("shop", "¦Shop")}${group}`,
    /name must be small letters/u,
    /not "Shop"/u,
  ],
  [
    "a bad group name",
    `${head}groups:\n  ¦my-web: { executor: command }\n`,
    /name "my-web" must begin/u,
    /small letters, digits and _/u,
  ],
  [
    "a reserved name",
    `${head}groups:\n  ¦constructor: { executor: command }\n`,
    /is a reserved name/u,
    /choose another/u,
  ],
  [
    "a missing executor",
    `${head}groups:\n  ¦web: { with: {} }\n`,
    /executor of web is missing/u,
    /it must name an executor/u,
  ],
  ["a missing section", `¦${head}`, /groups is missing/u, /must be a map of groups/u],
  [
    "another apiVersion",
    `apiVersion: ¦v2\n${head.split("\n").slice(1).join("\n")}${group}`,
    /apiVersion must be glasshouse\/v1/u,
    /not "v2"/u,
  ],
  ["a list for a map", `${head}groups: ¦[web]\n`, /groups must be a map/u, /not a list/u],
  [
    "a bad duration",
    `${head}${group}    timeout: ¦30 minutes\n`,
    /timeout of web must be a duration such as/u,
    /not "30 minutes"/u,
  ],
  [
    "labels that are no list",
    `${head}${group}    runsOn: ¦gpu\n`,
    /runsOn of web must be a list of labels/u,
    /\[gpu, eu\]/u,
  ],
  [
    "an empty label",
    `${head}${group}    runsOn: [gpu, ¦""]\n`,
    /must be small letters, digits and/u,
    /beginning with a letter or digit/u,
  ],
  [
    "a label with other characters",
    `${head}${group}    runsOn: [¦"GPU 1"]\n`,
    /must be small letters, digits and/u,
    /at most 63 characters/u,
  ],
  [
    "a label that is an expression",
    `${head}${group}    runsOn: [¦"\${{ environment.name }}"]\n`,
    /must be small letters/u,
    /digits/u,
  ],
  [
    "a label that stands there twice",
    `${head}${group}    runsOn: [gpu, eu, ¦gpu]\n`,
    /gpu stands here twice/u,
    /remove one/u,
  ],
  [
    "labels of a check that stand there twice",
    `${head}${group}checks:\n  up: { tcp: "localhost:1", runsOn: [a, ¦a] }\n`,
    /a stands here twice/u,
    /remove one/u,
  ],
  [
    "more labels than there may be",
    `${head}${group}    runsOn: ¦[${Array.from({ length: 17 }, (_, index) => `l${index}`).join(", ")}]\n`,
    /must have at most 16 labels/u,
    /16/u,
  ],
  [
    "a bad onFailure",
    `${head}${group}    onFailure: ¦ignore\n`,
    /onFailure of web must be stop .* or abort/u,
    /not "ignore"/u,
  ],
  [
    "a bad count",
    `${head}${group}    resources: { a: { count: ¦many } }\n`,
    /count of a must be a whole number/u,
    /not "many"/u,
  ],
  ["a group that is empty", `${head}¦groups: {}\n`, /groups is empty/u, /at least one group/u],
]);

cases("settings are checked against the executor's shape", [
  [
    "a missing setting",
    `${head}groups:\n  web:\n    executor: command\n    ¦with: {}\n`,
    /with has no create/u,
    /add it/u,
  ],
  ["a wrong type", web("{ create: ¦./up }"), /create must be a list/u, /not "\.\/up"/u],
  ["an empty list", web("{ create: ¦[] }"), /at least 1 items/u, /not 0/u],
  [
    "a value out of its list",
    web("{ create: [./up], mode: ¦slow }"),
    /mode must be one of fast, safe/u,
    /not "slow"/u,
  ],
  [
    "a key out of its pattern",
    web("{ create: [./up], env: { ¦path: x } }"),
    /key "path" of env/u,
    /must match/u,
  ],
  ["a number for text", web("{ create: [./up], note: ¦1 }"), /note must be text/u, /not 1/u],
  [
    "an integer for text by expression",
    `${head}parameters: { n: { type: integer } }\ngroups:\n  web:\n    executor: command\n    with: { create: [./up], note: "\${{¦ parameters.n }}" }\n`,
    /note must be string, but this gives integer/u,
    /string\(…\)/u,
  ],
  [
    "text for an integer by expression",
    web('{ create: [./up], slots: "${{¦ environment.name }}" }'),
    /slots must be integer/u,
    /gives string/u,
  ],
  [
    "what comes later",
    web("{ create: [./up], app: { ¦url: x } }"),
    /url is not available in this version/u,
    /remove it/u,
  ],
  [
    "an expression in a key",
    web('{ create: [./up], inputs: { ¦"${{ a }}": 1 } }'),
    /not allowed in keys/u,
    /write the key out/u,
  ],
  [
    "an expression in a path",
    web('{ create: [./up], files: [¦"${{ environment.name }}"] }'),
    /must be written out/u,
    /expressions are not allowed here/u,
  ],
]);

cases("paths stay in the template's folder", [
  [
    "a parent",
    web("{ create: [./up], files: [¦../secret] }"),
    /leaves the template's folder/u,
    /without \.\./u,
  ],
  [
    "a parent within",
    web("{ create: [./up], files: [¦a/../../x] }"),
    /leaves the template's folder/u,
    /relative to template\.yaml/u,
  ],
  [
    "an absolute path",
    web("{ create: [./up], files: [¦/etc/passwd] }"),
    /is absolute/u,
    /relative to template\.yaml/u,
  ],
  [
    "an absolute program",
    web("{ create: [¦/bin/sh] }"),
    /is absolute/u,
    /relative to template\.yaml/u,
  ],
  ["a NUL", web('{ create: [./up], files: [¦"a\\0b"] }'), /NUL character/u, /remove it/u],
  ["a NUL in an argument", web('{ create: [./up, ¦"a\\0b"] }'), /NUL character/u, /remove it/u],
  ["a backslash", web("{ create: [./up], files: [¦a\\b] }"), /backslash/u, /with \//u],
  [
    "a link that leaves",
    web("{ create: [./up], files: [¦out] }"),
    /link that leaves/u,
    /put the file into the folder/u,
  ],
  [
    "a missing file",
    web("{ create: [¦./gone] }"),
    /there is no "\.\/gone"/u,
    /add it, or correct the path/u,
  ],
  ["a folder as program", web("{ create: [¦./folder] }"), /is a folder/u, /name a file/u],
  [
    "a program by expression",
    web('{ create: [¦"${{ environment.name }}"] }'),
    /program must be written out/u,
    /use expressions in its arguments/u,
  ],
]);

test("a mark that is not where the problem is makes a case fail", () => {
  const text = `${head}¦${group}`.replace("web:", "Web:");
  assert.throws(
    () => expectProblem(text, /./u, /./u),
    /expected a problem at template\.yaml:5:1, saw:\n6:3 /u,
  );
});
