import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import type { Json } from "../lib/json.ts";
import { evaluate, parseText, referencesOf } from "./expression.ts";
import type { Scope } from "./expression.ts";
import { GlasshouseError } from "./errors.ts";
import { maskSecrets } from "./value.ts";

const secret = { $secret: "sec_1", fingerprint: "f" };
const scope: Scope = {
  parameters: {
    n: 3,
    ratio: 3,
    text: "a",
    list: [1, 2, 3],
    map: { constructor: "C", key: "v" },
    constructor: "own",
    token: secret,
    on: true,
  },
  environment: { id: "env_1", name: "prod", tags: { team: "shop" } },
  groups: {
    net: {
      outputs: {
        id: "n-1",
        port: 80,
        share: 1.5,
        hidden: secret,
        mixed: { user: "u", key: secret },
      },
    },
  },
  requires: { base: { outputs: { network: "vnet" } } },
  entrypoints: { shop: { url: "http://shop/" } },
  declared: { ratio: { type: "number" } },
};

function run(source: string): unknown {
  return evaluate(`\${{ ${source} }}`, scope);
}

function failure(value: Json): string {
  try {
    evaluate(value, scope);
  } catch (error) {
    assert.ok(error instanceof GlasshouseError);
    assert.equal(error.code, "step-failed");
    return error.message;
  }
  return assert.fail("it did not fail");
}

describe("finding expressions in text", () => {
  test("`}}` inside strings and maps does not end an expression", () => {
    for (const source of [
      `"}}"`,
      `'}}'`,
      `"\\"}}"`,
      `r'}}'`,
      `"""}}"""`,
      `{"a": {"b": 1}}`,
      `{"a":{"b":"}}"}}`,
    ]) {
      const parsed = parseText(`x\${{${source}}}y`);
      assert.deepEqual(
        parsed.segments.map((part) => (part.kind === "text" ? part.text : part.source)),
        ["x", source, "y"],
      );
    }
  });

  test("`$${{` stands for a literal `${{`", () => {
    assert.equal(evaluate("a $${{ b }} c", scope), "a ${{ b }} c");
    assert.equal(evaluate("$${{ x }} ${{ 1 }}", scope), "${{ x }} 1");
  });

  test("an expression that does not end is named with its place", () => {
    assert.deepEqual(parseText('ab ${{ "}} ').mistake?.start, 3);
    assert.match(failure("ab ${{ x"), /close it with/u);
    assert.match(failure("${{  }}"), /empty/u);
  });

  test("text without expressions comes back unchanged, whatever it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        fc.pre(!text.includes("${{"));
        assert.equal(evaluate(text, scope), text);
      }),
    );
  });

  test("every string can be written: escaped, it evaluates to itself", () => {
    const piece = fc.constantFrom("$", "{", "}", "${{", "}}", '"', "a", "'", "\n");
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const text = pieces.join("");
        assert.equal(
          evaluate(
            text.replaceAll("${{", () => "$${{"),
            scope,
          ),
          text,
        );
      }),
    );
  });

  test("segments cover the text they were cut from", () => {
    const piece = fc.constantFrom("x", "${{ 1 }}", "${{ 'a}}' }}", " ", "}}");
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const text = pieces.join("");
        const rebuilt = parseText(text).segments.map((part) =>
          part.kind === "text" ? part.text : text.slice(part.start - 3, part.end + 2),
        );
        assert.equal(rebuilt.join(""), text);
      }),
    );
  });
});

describe("evaluating", () => {
  test("a string that is one expression keeps its type, otherwise it becomes text", () => {
    assert.equal(run("parameters.n"), 3);
    assert.equal(run("parameters.on"), true);
    assert.deepEqual(run("parameters.list"), [1, 2, 3]);
    assert.equal(
      evaluate("n=${{ parameters.n }} ${{ parameters.on }} ${{ groups.net.outputs.share }}", scope),
      "n=3 true 1.5",
    );
    assert.equal(evaluate(" ${{ parameters.n }}", scope), " 3");
  });

  test("a tree is filled in at every depth and its keys are left alone", () => {
    assert.deepEqual(evaluate({ "${{ 1 }}": ["${{ 1 + 1 }}", { b: null, c: 1.5 }] }, scope), {
      "${{ 1 }}": [2, { b: null, c: 1.5 }],
    });
  });

  test("whole numbers are integers, mixed arithmetic gives a number, declared numbers divide as numbers", () => {
    assert.equal(run("parameters.n / 2"), 1);
    assert.equal(run("parameters.ratio / 2"), 1.5);
    assert.equal(run("groups.net.outputs.port + 1"), 81);
    assert.equal(run("groups.net.outputs.share + 1"), 2.5);
    assert.equal(run("1 + groups.net.outputs.share"), 2.5);
    assert.equal(run("groups.net.outputs.port == 80.0"), true);
  });

  test("integers of any safe size survive the way in and out", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (n) => {
        assert.equal(
          evaluate("${{ parameters.n }}", { ...scope, parameters: { n } }),
          n === 0 ? 0 : n,
        );
      }),
    );
    assert.match(failure("${{ 9007199254740993 }}"), /beyond/u);
  });

  test("any JSON parameter comes back as it went in", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        const json: Json = JSON.parse(JSON.stringify(value));
        fc.pre(
          !JSON.stringify(json).includes("$secret") && !JSON.stringify(json).includes("$text"),
        );
        const result = evaluate("${{ parameters.v }}", { ...scope, parameters: { v: json } });
        assert.equal(JSON.stringify(result), JSON.stringify(json));
      }),
    );
  });

  test("names of JavaScript's own objects are ordinary names", () => {
    assert.equal(run("parameters.constructor"), "own");
    assert.equal(run("parameters.map.constructor"), "C");
    assert.match(failure("${{ parameters.__proto__ }}"), /has no value/u);
    assert.match(failure("${{ parameters.map.toString }}"), /No such key/u);
    assert.match(failure("${{ groups.constructor.outputs.x }}"), /not known/u);
    assert.match(failure('${{ {"constructor": 1} }}'), /cannot have the key/u);
  });

  test("what is not there is named", () => {
    assert.match(
      failure("${{ groups.gone.outputs.x }}"),
      /groups\.gone\.outputs\.x.*outputs of gone are not known/u,
    );
    assert.match(failure("${{ parameters.gone }}"), /parameter gone has no value/u);
    assert.match(failure("${{ groups.net.outputs.nothing }}"), /No such key: nothing/u);
  });

  test("a whole map of outputs can be handed on", () => {
    const outputs = scope.groups["net"]?.outputs;
    assert.deepEqual(run("groups.net.outputs"), outputs);
  });

  test("lists and maps cannot stand inside a text, numbers that JSON lacks cannot leave", () => {
    assert.match(failure("a${{ parameters.list }}"), /a list.*cannot stand inside a text/u);
    assert.match(failure("a${{ null }}"), /null/u);
    assert.match(failure("${{ 1.0 / 0.0 }}"), /no JSON number/u);
    assert.match(failure("${{ 1 / 0 }}"), /division by zero/u);
    assert.match(failure("${{ b'x' }}"), /not JSON/u);
  });
});

describe("secrets in expressions", () => {
  test("a secret handed on whole stays a reference, also within lists, maps and choices", () => {
    assert.deepEqual(run("parameters.token"), secret);
    assert.deepEqual(run("groups.net.outputs.hidden"), secret);
    assert.deepEqual(
      run("parameters.on ? groups.net.outputs.hidden : groups.net.outputs.id"),
      secret,
    );
    assert.deepEqual(run('[parameters.token, {"a": parameters.token}]'), [secret, { a: secret }]);
  });

  test("inside a text it becomes text with references, and the mask hides it", () => {
    const value = evaluate(
      "postgres://${{ environment.name }}:${{ parameters.token }}@h:${{ 1 }}",
      scope,
    );
    assert.deepEqual(value, { $text: ["postgres://prod:", secret, "@h:1"] });
    assert.equal(maskSecrets(value), "postgres://prod:(secret)@h:1");
  });

  test("text with secrets inside can be used inside another text", () => {
    const nested: Scope = { ...scope, parameters: { url: { $text: ["a", secret] } } };
    assert.deepEqual(evaluate("x${{ parameters.url }}y", nested), { $text: ["xa", secret, "y"] });
  });

  test("comparing, joining, measuring or looping over a secret fails and names it", () => {
    for (const source of [
      'groups.net.outputs.hidden == "x"',
      "groups.net.outputs.hidden == groups.net.outputs.hidden",
      'groups.net.outputs.hidden + "x"',
      'groups.net.outputs.hidden in ["x"]',
      "size(groups.net.outputs.mixed)",
      "groups.net.outputs.mixed == groups.net.outputs.mixed",
      "[groups.net.outputs.hidden] == [1]",
      "[1].map(x, groups.net.outputs.hidden)",
      "string(groups.net.outputs.hidden)",
      "groups.net.outputs.hidden ? 1 : 2",
    ]) {
      assert.match(
        failure(`\${{ ${source} }}`),
        /groups\.net\.outputs\.(hidden|mixed) is secret/u,
        source,
      );
    }
  });

  test("what lies beside a secret in the same output may be used freely", () => {
    assert.equal(run('groups.net.outputs.mixed.user + "x"'), "ux");
    assert.match(failure('${{ groups.net.outputs.mixed.key + "x" }}'), /is secret/u);
  });
});

describe("bounds of expressions", () => {
  const refused: readonly (readonly [string, RegExp])[] = [
    ['parameters.text.matches("a")', /matches\(\) is not available.*no bound/u],
    ["parameters[parameters.text]", /computed keys/u],
    ["groups[environment.name].outputs.x", /computed keys/u],
    [
      "parameters.list.map(a, parameters.list.map(b, parameters.list.map(c, 1)))",
      /at most 2 loops/u,
    ],
    ['timestamp("2020-01-01T00:00:00Z")', /timestamp\(\) is not available/u],
    ["cel.bind(x, 1, x)", /bind\(\) is not available/u],
    ["parameters", /stands for nothing by itself/u],
    ["groups.net", /has only outputs/u],
    ["parameters.list.map(groups, 1)", /cannot be called groups/u],
    ["paramters.n", /did you mean parameters/u],
    ["environment.nam", /it has id, name and tags/u],
    ["1 +", /not a valid expression/u],
    ["!".repeat(4_000) + "true", /not a valid expression|nested too deeply/u],
    ["(".repeat(4_000), /not a valid expression|nested too deeply/u],
    ["1" + "+1".repeat(1_000), /maxAstNodes/u],
  ];
  for (const [source, pattern] of refused) {
    test(`refuses ${source.slice(0, 60)}`, () => {
      assert.match(failure(`\${{ ${source} }}`), pattern);
    });
  }

  test("an expression longer than the limit is refused", () => {
    assert.match(failure(`\${{ "${"a".repeat(5_000)}" }}`), /at most 4096/u);
  });

  test("loops that would multiply their data without end stop at the bound", () => {
    const doubling = `["aaaaaaaa"]${".map(x, x + x)".repeat(40)}`;
    const lists = `[[1]]${".map(x, x + x)".repeat(40)}`;
    const trees = `[1]${".map(x, [x, x, x])".repeat(30)}`;
    const joins = `"aaaaaaaaaa".split("")${'.map(x, "aaaaaaaaaa").join("").split("")'.repeat(9)}`;
    const swallowed = `[1].exists(z, size("aaaaaaaaaa".split("")${'.map(x, "aaaaaaaaaa").join("").split("")'.repeat(9)}) > 0)`;
    for (const source of [doubling, lists, trees, joins, swallowed]) {
      assert.match(failure(`\${{ ${source} }}`), /loops do too much/u);
    }
    const list = Array.from({ length: 2_000 }, (_, index) => index);
    const wide = { ...scope, parameters: { list } };
    assert.throws(
      () => evaluate("${{ parameters.list.map(a, parameters.list.map(b, 1)) }}", wide),
      /loops do too much/u,
    );
  });

  test("too much work is refused also where CEL swallows the errors of a part", () => {
    const heavy = `size("aaaaaaaaaa".split("")${'.map(x, "aaaaaaaaaa").join("").split("")'.repeat(9)}) > 0`;
    assert.match(failure(`\${{ ${heavy} || true }}`), /loops do too much/u);
    assert.match(failure(`\${{ [1, 2].exists(z, z == 2 || ${heavy}) }}`), /loops do too much/u);
  });

  test("each evaluation has the whole bound for itself", () => {
    const list = Array.from({ length: 2_000 }, (_, index) => index);
    for (let round = 0; round < 400; round += 1) {
      const value = evaluate("${{ size(parameters.list.map(x, x)) }}", {
        ...scope,
        parameters: { list },
      });
      assert.equal(value, 2_000);
    }
  });

  test("loops within the bound work, also when run again", () => {
    for (let round = 0; round < 3; round += 1) {
      assert.deepEqual(run("parameters.list.filter(x, x > 1).map(x, x * 2)"), [4, 6]);
      assert.deepEqual(run("parameters.list.map(x, parameters.list.map(y, x * y))[1]"), [2, 4, 6]);
      assert.equal(run("parameters.list.exists(x, x == 2) && parameters.list.all(x, x > 0)"), true);
    }
  });
});

test("references are found everywhere in a tree, with pointer, range and whether they are handed on", () => {
  const settings: Json = {
    source: "./x",
    variables: {
      "a/b": "${{ groups.net.outputs.id }}",
      c: ["p ${{ parameters.n + size(requires.base.outputs.network) }}"],
    },
  };
  const found = referencesOf(settings).map((one) => [
    one.pointer,
    one.kind,
    one.name,
    one.output,
    one.passed,
    one.start,
    one.end,
  ]);
  assert.deepEqual(found, [
    ["/variables/a~1b", "group", "net", "id", true, 4, 25],
    ["/variables/c/0", "parameter", "n", undefined, false, 6, 18],
    ["/variables/c/0", "requires", "base", "network", false, 26, 55],
  ]);
});
