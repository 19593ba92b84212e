import assert from "node:assert/strict";
import { test } from "node:test";
import { cases, group, head, problemsOf } from "./hostile-harness.fixture.ts";

cases("what comes later is refused by name", [
  [
    "permissions",
    `${head}¦permissions: { create: [x] }\n${group}`,
    /permissions is not available in this version/u,
    /remove it/u,
  ],
  [
    "an executor",
    `${head}groups: { a: { executor: ¦helm } }\n`,
    /executor helm is not available in this version/u,
    /use command/u,
  ],
  [
    "a template as executor",
    `${head}groups: { a: { executor: ¦template } }\n`,
    /executor template is not available in this version/u,
    /use command/u,
  ],
  [
    "a consul check of nothing",
    `${head}${group}checks: { c: { ¦consul: { datacenter: dc1 } } }\n`,
    /names nothing/u,
    /exactly one of service and node/u,
  ],
  [
    "a consul check of a service and a node",
    `${head}${group}checks: { c: { ¦consul: { service: a, node: b } } }\n`,
    /has service and node/u,
    /exactly one/u,
  ],
  [
    "a consul check of a node's tag",
    `${head}${group}checks: { c: { consul: { node: b, ¦tag: t } } }\n`,
    /tag belongs to a service/u,
    /remove it/u,
  ],
  [
    "a required template",
    `${head}requires: { r: { ¦template: base, outputs: [x] } }\n${group}`,
    /another template is not available in this version/u,
    /require an environment/u,
  ],
  [
    "an app by URL",
    `${head}${group}actions: { a: { app: { name: a, ¦url: "git::https://x/y", command: [./up] } } }\n`,
    /URL are not available in this version/u,
    /template's folder/u,
  ],
  [
    "an unknown executor",
    `${head}groups: { a: { executor: ¦comand } }\n`,
    /no executor comand/u,
    /did you mean command\?/u,
  ],
]);

cases("declarations are checked in themselves", [
  [
    "a secret from nowhere",
    `${head}secrets: { a: { from: ¦"env:HOME" } }\n${group}`,
    /from of a must be written out/u,
    /vault:<mount>\/<path>#<field>/u,
  ],
  [
    "a secret from elsewhere that is also made",
    `${head}secrets: { a: { from: "vault:kv/a#b", ¦length: 9 } }\n${group}`,
    /length belongs to a value that is made/u,
    /remove one of them/u,
  ],
  [
    "a secret of a policy with a length",
    `${head}secrets: { a: { policy: strong, ¦charset: hex } }\n${group}`,
    /said by the password policy/u,
    /remove it/u,
  ],
  [
    "a secret that is too short",
    `${head}secrets: { a: { length: ¦4 } }\n${group}`,
    /length of a must be a whole number/u,
    /8 to 1024/u,
  ],
  [
    "a secret that is made anew all the time",
    `${head}secrets: { a: { rotate: ¦5m } }\n${group}`,
    /rotate must be/u,
    /at least 1h/u,
  ],
  [
    "a secret in an argument",
    `${head}secrets: { a: {} }\ngroups: { g: { executor: command, with: { create: [./up, "\${{ ¦secrets.a }}"] } } }\n`,
    /secret a cannot be used in/u,
    /accepts secrets/u,
  ],
  [
    "a secret that is compared",
    `${head}secrets: { a: {} }\ngroups: { g: { executor: command, with: { create: [./up], inputs: { x: "\${{ ¦secrets.a == 'b' }}" } } } }\n`,
    /secret a may only be handed on whole/u,
    /do not compare/u,
  ],
  [
    "a secret that is not declared",
    `${head}secrets: { alpha: {} }\ngroups: { g: { executor: command, with: { create: [./up], inputs: { x: "\${{ ¦secrets.alpa }}" } } } }\n`,
    /no secret alpa/u,
    /did you mean alpha/u,
  ],
  [
    "a default out of range",
    `${head}parameters: { n: { type: integer, maximum: 3, default: ¦9 } }\n${group}`,
    /default must be at most 3/u,
    /not 9/u,
  ],
  [
    "a default of another type",
    `${head}parameters: { n: { type: integer, default: ¦"3" } }\n${group}`,
    /default must be an integer/u,
    /not "3"/u,
  ],
  [
    "an enum of another type",
    `${head}parameters: { n: { type: string, enum: [a, ¦1] } }\n${group}`,
    /value 2 of enum must be a string/u,
    /not 1/u,
  ],
  [
    "bounds the wrong way round",
    `${head}parameters: { n: { type: integer, minimum: 5, maximum: ¦3 } }\n${group}`,
    /maximum 3 is below minimum 5/u,
    /correct one/u,
  ],
  [
    "a rule of another type",
    `${head}parameters: { n: { type: string, ¦maximum: 3 } }\n${group}`,
    /maximum belongs to parameters of type integer or number/u,
    /remove it/u,
  ],
  [
    "a pattern without bound",
    `${head}parameters: { n: { type: string, pattern: ¦"(a)\\\\1" } }\n${group}`,
    /pattern cannot be used/u,
    /back-references are not available/u,
  ],
  [
    "a pattern that is none",
    `${head}parameters: { n: { type: string, pattern: ¦"(" } }\n${group}`,
    /pattern cannot be used/u,
    /Unterminated group/u,
  ],
  [
    "a secret with a default",
    `${head}parameters: { n: { type: string, secret: true, default: ¦x } }\n${group}`,
    /secret parameter has no default/u,
    /remove it/u,
  ],
  [
    "a secret number",
    `${head}parameters: { n: { type: ¦integer, secret: true } }\n${group}`,
    /must be of type string/u,
    /not integer/u,
  ],
  [
    "an expression as default",
    `${head}parameters: { n: { type: string, default: ¦"\${{ environment.name }}" } }\n${group}`,
    /not allowed in defaults/u,
    /write the value out/u,
  ],
  [
    "a requirement of nothing",
    `${head}requires: { ¦r: {} }\n${group}`,
    /neither environment nor description/u,
    /name the environment/u,
  ],
  [
    "a required environment without outputs",
    `${head}requires: { ¦r: { environment: base } }\n${group}`,
    /outputs is missing/u,
    /list the outputs/u,
  ],
  [
    "a group's output in an environment's name",
    `${head}requires: { r: { environment: "\${{ ¦groups.web.outputs.address }}", outputs: [x] } }\n${group}`,
    /cannot be used in the environment's name/u,
    /parameters, environment/u,
  ],
  [
    "a check of nothing",
    `${head}${group}checks: { ¦c: {} }\n`,
    /says nothing to look at/u,
    /exactly one of http, tcp, command and consul/u,
  ],
  [
    "a check of two things",
    `${head}${group}checks: { ¦c: { http: "http://x", tcp: "x:1" } }\n`,
    /has http and tcp/u,
    /exactly one/u,
  ],
  [
    "a URL that is none",
    `${head}${group}checks: { c: { http: ¦ftp://x } }\n`,
    /no http or https URL/u,
    /http:\/\/localhost/u,
  ],
  [
    "an address that is none",
    `${head}${group}checks: { c: { tcp: ¦localhost } }\n`,
    /no host:port/u,
    /localhost:5432/u,
  ],
  [
    "a lifetime beyond its maximum",
    `${head}lifetime: { default: ¦3d, maximum: 48h }\n${group}`,
    /longer than the maximum 48h/u,
    /shorten it/u,
  ],
  [
    "a missing program of an action",
    `${head}${group}actions: { a: { app: { name: a, command: [¦./gone] } } }\n`,
    /there is no "\.\/gone"/u,
    /add it/u,
  ],
]);

test("10,001 groups are one too many, and that is said at once", () => {
  const groups = Array.from({ length: 10_001 }, (_, n) => `  g${n}: {}`).join("\n");
  const problems = problemsOf(`${head}groups:\n${groups}\n`);
  assert.equal(problems.length, 1);
  assert.match(
    problems[0]?.message ?? "",
    /has 10001 groups: at most 10000 are allowed, split it/u,
  );
  assert.equal(`${problems[0]?.line}:${problems[0]?.column}`, "5:1");
});

test("several problems come together, in order of their place", () => {
  const problems = problemsOf(
    `${head}checks: { c: {} }\noutputs: { a: "\${{ parameters.x }} \${{ groups.y.outputs.z }}" }\ngroups:\n  web: { executor: helm }\n`,
  );
  assert.deepEqual(
    problems.map((one) => `${one.line}:${one.column}`),
    ["5:11", "6:20", "6:40", "8:20"],
  );
});

test("problems past the hundredth are counted, not listed", () => {
  const lines = Array.from({ length: 500 }, (_, n) => `  o${n}: "\${{ parameters.x${n} }}"`).join(
    "\n",
  );
  const problems = problemsOf(`${head}${group}outputs:\n${lines}\n`);
  assert.equal(problems.length, 101);
  assert.match(problems.at(-1)?.message ?? "", /and 400 more mistakes: mend these first/u);
});
