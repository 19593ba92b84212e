import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkExpressions, newExpressionChecker } from "./expression-check.ts";
import type { Declarations, ExpressionRules } from "./expression-check.ts";

const declarations: Declarations = {
  parameters: {
    nodes: { type: "integer", secret: false },
    ratio: { type: "number", secret: false },
    region: { type: "string", secret: false },
    names: { type: "list", items: "string", secret: false },
    token: { type: "string", secret: true },
    constructor: { type: "boolean" as const, secret: false },
  },
  groups: { network: { outputs: ["subnet_id"] }, database: { outputs: ["host"] } },
  requires: { base: { outputs: ["network_id"] } },
  entrypoints: { shop: {} },
};
const anywhere: ExpressionRules = { where: "this setting", secrets: true };

function first(text: string, rules: ExpressionRules = anywhere): string | undefined {
  return newExpressionChecker(declarations)(text, rules).mistakes[0]?.message;
}

function typeOf(source: string): string {
  const checked = newExpressionChecker(declarations)(`\${{ ${source} }}`, anywhere);
  assert.deepEqual(checked.mistakes, []);
  return checked.type;
}

describe("checking expressions at registration", () => {
  test("types are inferred where they are known, and outputs are known only at run time", () => {
    assert.equal(typeOf("parameters.nodes + 1"), "integer");
    assert.equal(typeOf("parameters.nodes * 1.5"), "number");
    assert.equal(typeOf("parameters.ratio * 2"), "number");
    assert.equal(typeOf("parameters.ratio == 2"), "boolean");
    assert.equal(typeOf("parameters.names"), "list");
    assert.equal(typeOf("parameters.names.map(x, x + 'a')"), "list");
    assert.equal(typeOf("parameters.constructor"), "boolean");
    assert.equal(typeOf("parameters.token"), "secret");
    assert.equal(typeOf("groups.network.outputs.subnet_id"), "any");
    assert.equal(typeOf("groups.network.outputs"), "map");
    assert.equal(typeOf("requires.base.outputs.network_id + '-x'"), "string");
    assert.equal(typeOf("environment.tags.team"), "string");
    assert.equal(typeOf("entrypoints.shop.url"), "string");
    assert.equal(typeOf("{}"), "map");
  });

  test("unknown names get the nearest known one", () => {
    assert.match(first("${{ parameters.node }}") ?? "", /no parameter node: did you mean nodes\?/u);
    assert.match(
      first("${{ groups.netwrok.outputs.subnet_id }}") ?? "",
      /no group netwrok: did you mean network\?/u,
    );
    assert.match(
      first("${{ groups.network.outputs.subnetid }}") ?? "",
      /no output subnetid: did you mean subnet_id\?/u,
    );
    assert.match(first("${{ groups.network.outputs.zone }}") ?? "", /add zone to its outputs/u);
    assert.match(
      first("${{ requires.other.outputs.x }}") ?? "",
      /no requirement other: declare it, or use one of base/u,
    );
    assert.match(first("${{ groups.constructor.outputs.x }}") ?? "", /no group constructor/u);
    assert.match(first("${{ parameters.toString }}") ?? "", /no parameter toString/u);
    assert.match(first("${{ secrets.db }}") ?? "", /no secret db: the template declares none/u);
    assert.match(
      first("${{ certificates.web.key }}") ?? "",
      /no certificate web: the template declares none/u,
    );
  });

  test("type mistakes say what would be right", () => {
    assert.match(
      first("${{ parameters.nodes + 'a' }}") ?? "",
      /int \+ string: make both sides one type/u,
    );
    assert.match(
      first("${{ parameters.constructor ? 1 : 'a' }}") ?? "",
      /give both branches the same type/u,
    );
    assert.match(first("${{ parameters.nodes ? 1 : 2 }}") ?? "", /must be true or false/u);
    assert.match(first("${{ parameters.nodes.x }}") ?? "", /only maps and lists have members/u);
    assert.match(first("a${{ parameters.names }}") ?? "", /a list cannot stand inside a text/u);
    assert.match(first("${{ b'a' }}") ?? "", /not JSON/u);
  });

  test("a string that is one expression must give what the place expects", () => {
    const text: ExpressionRules = { where: "the prefix", secrets: false, expected: ["string"] };
    assert.match(
      first("${{ parameters.nodes }}", text) ?? "",
      /the prefix must be string, but this gives integer; convert it with string/u,
    );
    assert.equal(first("x${{ parameters.nodes }}", text), undefined);
    assert.equal(first("${{ groups.database.outputs.host }}", text), undefined);
    assert.equal(first("${{ parameters.nodes }}", { ...text, expected: ["number"] }), undefined);
  });

  test("ranges count from the begin of the string", () => {
    const text = "ab ${{ parameters.nodes }} ${{ parameters.gone }}";
    const mistake = newExpressionChecker(declarations)(text, anywhere).mistakes[0];
    assert.equal(text.slice(mistake?.start, mistake?.end), "parameters.gone");
  });

  test("several mistakes of one string are all found", () => {
    const text = "${{ parameters.a + groups.b.outputs.c }} ${{ matches('x') }} ${{ 1 + }}";
    assert.equal(newExpressionChecker(declarations)(text, anywhere).mistakes.length, 4);
  });

  test("a place may allow only some names", () => {
    const rules: ExpressionRules = {
      where: "the environment's name",
      secrets: false,
      kinds: ["parameter", "environment"],
    };
    assert.equal(first("${{ parameters.region }}-base", rules), undefined);
    assert.match(
      first("${{ groups.network.outputs.subnet_id }}", rules) ?? "",
      /group cannot be used in the environment's name: it may use parameters, environment/u,
    );
  });

  test("secrets go only where they are accepted, and only as they are", () => {
    assert.equal(first("${{ parameters.token }}"), undefined);
    assert.equal(first("x:${{ parameters.token }}"), undefined);
    assert.match(
      first("${{ parameters.token }}", { where: "a URL", secrets: false }) ?? "",
      /token cannot be used in a URL/u,
    );
    assert.match(first("${{ parameters.token == 'x' }}") ?? "", /handed on whole/u);
    assert.match(first("${{ 'a' + parameters.token }}") ?? "", /handed on whole/u);
    assert.match(first("${{ size(parameters.token) }}") ?? "", /handed on whole/u);
    assert.match(first("${{ parameters.token.x }}") ?? "", /has no members/u);
  });

  test("a tree is checked with pointers", () => {
    const found = checkExpressions(
      { a: ["${{ parameters.no }}"], b: "${{ 1 }}" },
      declarations,
      anywhere,
    );
    assert.deepEqual(
      found.map((one) => one.pointer),
      ["/a/0"],
    );
  });
});

test("checking grows in step with the template: 40 times the groups take no more than 240 times as long", () => {
  timeOfChecking(2_000);
  let small = 0;
  for (let n = 0; n < 40; n += 1) small += timeOfChecking(250);
  const large = Math.min(timeOfChecking(10_000), timeOfChecking(10_000));
  assert.ok(large / small < 6, `40 × 250: ${small} ms, 10,000: ${large} ms`);
});

function timeOfChecking(count: number): number {
  const groups = Object.fromEntries(
    Array.from({ length: count }, (_, n) => [`g${n}`, { outputs: [`o${n}`] }]),
  );
  // Time of this thread alone: what else the machine does is no matter.
  const began = process.threadCpuUsage();
  const check = newExpressionChecker({ ...declarations, groups });
  for (let n = 0; n < count; n += 1) {
    const text = `\${{ groups.g${n}.outputs.o${n} }}-${n}`;
    assert.equal(check(text, anywhere).mistakes.length, 0);
  }
  const { user, system } = process.threadCpuUsage(began);
  return (user + system) / 1_000;
}
