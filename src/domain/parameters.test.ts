import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { checkParameters } from "./parameters.ts";
import type { ParametersInput } from "./parameters.ts";
import type { Parameter } from "./template.ts";

const plain = { description: "", secret: false, immutable: false } as const;
const declared: Readonly<Record<string, Parameter>> = {
  region: {
    ...plain,
    type: "string",
    enum: ["westeurope", "northeurope"],
    default: "westeurope",
    immutable: true,
  },
  nodes: { ...plain, type: "integer", minimum: 1, maximum: 9, default: 3 },
  ratio: { ...plain, type: "number", default: 1.5 },
  name: {
    ...plain,
    type: "string",
    minLength: 2,
    maxLength: 5,
    pattern: "^[a-z]+$",
    default: "web",
  },
  zones: { ...plain, type: "list", items: "string", minItems: 1, maxItems: 2, default: ["a"] },
  labels: { ...plain, type: "map", items: "integer", default: {} },
  on: { ...plain, type: "boolean", default: false },
  token: { ...plain, type: "string", secret: true, description: "Of the registry", minLength: 3 },
};
const reference = { $secret: "sec_1", fingerprint: "f" };

function problemsOf(input: Partial<ParametersInput>): readonly string[] {
  return checkParameters({ declared, given: { token: "abcd" }, ...input }).problems.map(
    (one) => one.message,
  );
}

function problemOf(name: string, value: ParametersInput["given"][string]): string {
  return problemsOf({ given: { token: "abcd", [name]: value } }).join("\n");
}

describe("parameters at create", () => {
  test("defaults are filled in, and only what was given is kept", () => {
    const outcome = checkParameters({ declared, given: { nodes: 5, token: "abcd" } });
    assert.deepEqual(outcome.problems, []);
    assert.deepEqual(outcome.given, { nodes: 5, token: "abcd" });
    assert.deepEqual(outcome.values, {
      region: "westeurope",
      nodes: 5,
      ratio: 1.5,
      name: "web",
      zones: ["a"],
      labels: {},
      on: false,
      token: "abcd",
    });
  });

  test("each rule names what is wrong and what would be right", () => {
    const cases: readonly (readonly [string, ParametersInput["given"][string], RegExp])[] = [
      ["region", "mars", /region must be one of "westeurope", "northeurope", not "mars"/u],
      ["nodes", 0, /nodes must be at least 1, not 0/u],
      ["nodes", 10, /nodes must be at most 9, not 10/u],
      ["nodes", 1.5, /nodes must be an integer \(whole.*not 1\.5/u],
      ["nodes", "3", /nodes must be an integer, not "3"/u],
      ["nodes", 2 ** 53, /at most ±9007199254740991/u],
      ["nodes", null, /nodes is null: give it an integer, or leave it out/u],
      ["ratio", Number.NaN, /ratio must be a number/u],
      ["name", "a", /name must have at least 2 characters, not 1/u],
      ["name", "abcdef", /name must have at most 5 characters, not 6/u],
      ["name", "A1", /name must match \^\[a-z\]\+\$, which "A1" does not/u],
      ["name", "a".repeat(5_000), /at most 4096 characters, as it has a pattern/u],
      ["zones", [], /at least 1 items, not 0/u],
      ["zones", ["a", "b", "c"], /at most 2 items, not 3/u],
      ["zones", ["a", 1], /hold only string values, but item 1 is 1/u],
      ["zones", "a", /zones must be a list, not "a"/u],
      ["labels", { a: 1, b: "x" }, /hold only integer values, but b is "x"/u],
      ["labels", [1], /labels must be a map, not \[1\]/u],
      ["on", "true", /on must be true or false, not "true"/u],
    ];
    for (const [name, value, pattern] of cases) assert.match(problemOf(name, value), pattern);
  });

  test("several mistakes come together, each with its pointer", () => {
    const { problems } = checkParameters({ declared, given: { nodes: 0, nods: 1, zone: 1 } });
    assert.deepEqual(
      problems.map((one) => one.pointer ?? "").sort((a, b) => a.localeCompare(b)),
      ["/parameters/nodes", "/parameters/nods", "/parameters/token", "/parameters/zone"],
    );
    assert.match(problems[0]?.message ?? "", /no parameter nods: did you mean nodes\?/u);
    assert.match(
      problemsOf({ given: {} }).join(),
      /token is required \(Of the registry\): give it a string/u,
    );
  });

  test("names of JavaScript's own objects are unknown names", () => {
    for (const name of ["constructor", "toString", "__proto__"]) {
      const given = Object.fromEntries([
        ["token", "abcd"],
        [name, 1],
      ]);
      assert.match(problemsOf({ given }).join(), new RegExp(`no parameter ${name}`, "u"));
    }
  });

  test("a length counts characters, not code units", () => {
    const only = { word: { ...plain, type: "string", maxLength: 2 } } as const;
    assert.deepEqual(checkParameters({ declared: only, given: { word: "😀😀" } }).problems, []);
  });
});

describe("secret parameters", () => {
  test("their rules are checked on the plain value, which is never shown", () => {
    const message = problemOf("token", "zq");
    assert.match(message, /token must have at least 3 characters/u);
    assert.doesNotMatch(message, /zq/u);
    assert.doesNotMatch(problemOf("token", 123456), /123456/u);
  });

  test("a reference that came from outside is refused, wherever it hides", () => {
    for (const given of [
      { token: reference },
      { token: "abcd", labels: { a: reference } },
      { token: "abcd", zones: [{ $text: [reference] }] },
      { token: "abcd", labels: { $secret: 5 } },
    ]) {
      assert.match(problemsOf({ given }).join(), /holds a reference to a secret/u);
    }
  });

  test("a kept reference stays, and those of the service itself are taken", () => {
    const kept = checkParameters({
      declared,
      given: {},
      previous: { given: { token: reference } },
    });
    assert.deepEqual(kept.problems, []);
    assert.deepEqual(kept.values["token"], reference);
    assert.deepEqual(problemsOf({ given: { token: reference }, references: true }), []);
  });

  test("an immutable secret may be given again only when it is the same", () => {
    const only = { key: { ...plain, type: "string", secret: true, immutable: true } } as const;
    const input = {
      declared: only,
      given: { key: "new" },
      previous: { given: { key: reference } },
    };
    assert.match(checkParameters(input).problems[0]?.message ?? "", /cannot be changed/u);
    assert.deepEqual(
      checkParameters({ ...input, isSame: (_, text) => text === "new" }).problems,
      [],
    );
  });
});

describe("parameters at update", () => {
  const previous = { given: { token: reference, nodes: 4, region: "northeurope" } };

  test("what is not named stays, what is reset returns to its default", () => {
    const outcome = checkParameters({ declared, given: { on: true }, previous, reset: ["nodes"] });
    assert.deepEqual(outcome.problems, []);
    assert.deepEqual(outcome.given, { token: reference, region: "northeurope", on: true });
    assert.equal(outcome.values["nodes"], 3);
  });

  test("an immutable parameter keeps its value, whichever way it would change", () => {
    const changed = checkParameters({ declared, given: { region: "westeurope" }, previous });
    assert.match(
      changed.problems[0]?.message ?? "",
      /region cannot be changed.*it stays "northeurope"/u,
    );
    assert.equal(
      checkParameters({ declared, given: {}, previous, reset: ["region"] }).problems.length,
      1,
    );
    assert.deepEqual(
      checkParameters({ declared, given: { region: "northeurope" }, previous }).problems,
      [],
    );
    const byDefault = { given: { token: reference } };
    assert.equal(
      checkParameters({ declared, given: { region: "northeurope" }, previous: byDefault }).problems
        .length,
      1,
    );
  });

  test("a name cannot be given and reset at once, and only known names are reset", () => {
    assert.match(
      problemsOf({ given: { nodes: 1, token: "abcd" }, reset: ["nodes"] }).join(),
      /at once/u,
    );
    assert.match(problemsOf({ reset: ["node"] }).join(), /did you mean nodes/u);
  });
});

describe("parameters when the version changes", () => {
  const { on: _on, ...without } = declared;

  test("values that the new version does not know are dropped and named", () => {
    const previous = { given: { token: reference, on: true }, declared };
    const outcome = checkParameters({ declared: without, given: {}, previous });
    assert.deepEqual(outcome.dropped, ["on"]);
    assert.deepEqual(outcome.given, { token: reference });
    assert.deepEqual(outcome.problems, []);
  });

  test("a kept value that breaks a new rule is named as kept", () => {
    const stricter = {
      ...declared,
      nodes: { ...plain, type: "integer", maximum: 2, default: 1 },
    } as const;
    const previous = { given: { token: reference, nodes: 4 }, declared };
    const { problems } = checkParameters({ declared: stricter, given: {}, previous });
    assert.match(
      problems[0]?.message ?? "",
      /at most 2, not 4 \(kept from before; give it anew\)/u,
    );
  });

  test("an immutable parameter cannot change by another default", () => {
    const moved = {
      ...declared,
      region: { ...plain, type: "string", default: "mars", immutable: true },
    } as const;
    const previous = { given: { token: reference }, declared };
    assert.equal(checkParameters({ declared: moved, given: {}, previous }).problems.length, 1);
    assert.deepEqual(
      checkParameters({ declared: moved, given: { region: "westeurope" }, previous }).problems,
      [],
    );
  });
});

test("checking again what was accepted changes nothing", () => {
  const given = fc.record(
    {
      nodes: fc.integer({ min: 1, max: 9 }),
      on: fc.boolean(),
      ratio: fc.double({ noNaN: true, noDefaultInfinity: true }),
      zones: fc.array(fc.string(), { minLength: 1, maxLength: 2 }),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(given, (values) => {
      const once = checkParameters({ declared, given: { ...values, token: "abcd" } });
      assert.deepEqual(once.problems, []);
      const again = checkParameters({ declared, given: {}, previous: { given: once.given } });
      assert.deepEqual([again.values, again.given, again.problems], [once.values, once.given, []]);
    }),
  );
});
