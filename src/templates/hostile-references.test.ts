import assert from "node:assert/strict";
import { test } from "node:test";
import { cases, group, head, problemsOf, web } from "./hostile-harness.fixture.ts";

const params = `parameters: { token: { type: string, secret: true } }\n`;
const two = (a: string, b: string): string =>
  `${head}groups:\n  a: { executor: command, with: { create: [./up] }, outputs: [x], ${a} }\n  b: { executor: command, with: { create: [./up] }, outputs: [x], ${b} }\n`;
cases("references and secrets are resolved where they stand", [
  [
    "an unknown parameter",
    web('{ create: [./up, "a ${{ ¦parameters.x }}"] }'),
    /no parameter x/u,
    /declares none/u,
  ],
  [
    "an unknown group",
    web('{ create: [./up, "${{ ¦groups.wbe.outputs.a }}"] }'),
    /no group wbe/u,
    /did you mean web\?/u,
  ],
  [
    "an unknown output",
    `${head}${group}outputs: { a: "\${{ ¦groups.web.outputs.adress }}" }\n`,
    /no output adress/u,
    /did you mean address\?/u,
  ],
  [
    "in a block text, on its own line",
    `${head}${group}outputs:\n  a: |\n    first\n    second \${{ ¦parameters.x }}\n`,
    /no parameter x/u,
    /declares none/u,
  ],
  [
    "the second expression of a text",
    `${head}${group}outputs: { a: "\${{ 1 }} \${{ ¦parameters.x }}" }\n`,
    /no parameter x/u,
    /declares none/u,
  ],
  [
    "its own output in with",
    `${head}groups:\n  web:\n    executor: command\n    with: { create: [./up, "\${{ ¦groups.web.outputs.address }}"] }\n    outputs: [address]\n`,
    /uses its own output address/u,
    /use it in resources or in another group/u,
  ],
  [
    "an expression that does not end",
    `${head}${group}outputs: { a: "x ¦\${{ y" }\n`,
    /does not end/u,
    /close it/u,
  ],
  [
    "matches",
    `${head}${group}outputs: { a: "\${{ ¦'a'.matches('a') }}" }\n`,
    /matches\(\) is not available/u,
    /these are:/u,
  ],
  [
    "a secret as argument",
    `${head}${params}groups:\n  web:\n    executor: command\n    with: { create: [./up, "\${{ ¦parameters.token }}"] }\n`,
    /token cannot be used in .* an argument of a process/u,
    /setting that accepts secrets/u,
  ],
  [
    "a secret in a URL",
    `${head}${params}${group}entrypoints: { e: { url: "http://\${{ ¦parameters.token }}/" } }\n`,
    /cannot be used in an entrypoint's URL/u,
    /setting that accepts secrets/u,
  ],
  [
    "a secret in a count",
    `${head}${params}${group}    resources: { a: { count: "\${{ ¦parameters.token }}" } }\n`,
    /cannot be used in count/u,
    /setting that accepts secrets/u,
  ],
  [
    "a secret in a tag",
    `${head}${params}${group}    resources: { a: { tags: { t: "\${{ ¦parameters.token }}" } } }\n`,
    /cannot be used in a tag/u,
    /setting that accepts secrets/u,
  ],
  [
    "a secret that is compared",
    `${head}${params}${web("{ create: [./up], inputs: { a: \"${{ ¦parameters.token == 'x' }}\" } }").slice(head.length)}`,
    /only be handed on whole/u,
    /do not compare/u,
  ],
  [
    "an entrypoint in settings",
    `${head}${web('{ create: [./up], inputs: { a: "${{ ¦entrypoints.e.url }}" } }').slice(head.length)}entrypoints: { e: { url: "http://x/" } }\n`,
    /entrypoint cannot be used in/u,
    /may use/u,
  ],
  [
    "an expression in a description",
    `${head}description: ¦"\${{ environment.name }}"\n${group}`,
    /not allowed in description/u,
    /write it out/u,
  ],
]);

cases("the graph has no circle, no unknown end and no repeat", [
  [
    "two groups",
    two("dependsOn: [¦b]", "dependsOn: [a]"),
    /in a circle: a → b → a/u,
    /remove one/u,
  ],
  [
    "by outputs",
    `${head}groups:\n  a: { executor: command, with: { create: [./up, "\${{ ¦groups.b.outputs.x }}"] }, outputs: [x] }\n  b: { executor: command, with: { create: [./up, "\${{ groups.a.outputs.x }}"] }, outputs: [x] }\n`,
    /a → b → a/u,
    /remove one/u,
  ],
  [
    "by resources",
    two("resources: { r: { dependsOn: [¦b.s] } }", "resources: { s: { dependsOn: [a.r] } }"),
    /a → b → a/u,
    /remove one/u,
  ],
  [
    "resources of one group",
    two("resources: { r: { dependsOn: ¦[a.s] }, s: { dependsOn: [a.r] } }", ""),
    /resources wait .* a\.r → a\.s → a\.r/u,
    /remove one/u,
  ],
  ["itself", two("dependsOn: [¦a]", ""), /cannot depend on itself/u, /remove it/u],
  ["an unknown group", two("dependsOn: [¦c]", ""), /no group c/u, /./u],
  ["twice the same", two("", "dependsOn: [a, ¦a]"), /a stands here twice/u, /remove one/u],
  [
    "an output twice",
    `${head}groups: { a: { executor: command, with: { create: [./up] }, outputs: [x, ¦x] } }\n`,
    /x stands here twice/u,
    /remove one/u,
  ],
  [
    "an unknown resource",
    two("resources: { r: { dependsOn: [¦b.gone] } }", ""),
    /no resource gone/u,
    /declare it/u,
  ],
  [
    "a resource without its group",
    two("resources: { r: { dependsOn: [¦b] } }", ""),
    /names no resource/u,
    /group\.resource/u,
  ],
  [
    "an unknown requirement",
    two("resources: { r: { dependsOn: [¦requires.z] } }", ""),
    /no requirement z/u,
    /declare it under requires/u,
  ],
  [
    "an expression in dependsOn",
    two('dependsOn: [¦"${{ environment.name }}"]', ""),
    /not allowed in dependsOn/u,
    /write the group's name out/u,
  ],
]);

test("of several circles the shortest is named", () => {
  const edges = { a: "b", b: "c", c: "a", d: "e", e: "d" };
  const groups = Object.entries(edges).map(
    ([from, to]) =>
      `  ${from}: { executor: command, with: { create: [./up] }, dependsOn: [${to}] }`,
  );
  const problems = problemsOf(`${head}groups:\n${groups.join("\n")}\n`);
  assert.equal(problems.length, 1);
  assert.match(problems[0]?.message ?? "", /d → e → d; remove one/u);
  assert.equal(`${problems[0]?.line}:${problems[0]?.column}`, "9:65");
});
