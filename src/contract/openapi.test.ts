import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { z } from "zod";
import { isJsonObject, type Json, type JsonObject } from "../lib/json.ts";
import { openApiDocument } from "./openapi.ts";
import { pathOf, routes } from "./rest.ts";

const document = openApiDocument("0.1.0");

/** Every object within the document with its JSON pointer. */
function* objectsIn(value: Json, at = "#"): Generator<readonly [string, JsonObject]> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* objectsIn(item, `${at}/${index}`);
    return;
  }
  if (!isJsonObject(value)) return;
  yield [at, value];
  for (const [key, item] of Object.entries(value)) {
    yield* objectsIn(item, `${at}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`);
  }
}

const known = new Map(objectsIn(document));

suite("the OpenAPI document", () => {
  test("is the one in docs/reference (npm run generate writes it)", () => {
    const file = join(import.meta.dirname, "../../docs/reference/openapi.json");
    const kept: unknown = JSON.parse(readFileSync(file, "utf8"));
    const version = z.object({ info: z.object({ version: z.string() }) }).parse(kept).info.version;
    assert.deepEqual(kept, openApiDocument(version));
  });

  test("has references that all lead somewhere", () => {
    const references = [...known.values()].flatMap(({ $ref }) =>
      typeof $ref === "string" ? [$ref] : [],
    );
    assert.ok(references.length > 100);
    assert.deepEqual(
      references.filter((reference) => !known.has(reference)),
      [],
    );
  });

  test("has every operation of the table once, and no other", () => {
    const operations = [...known]
      .filter(([at]) => /^#\/paths\/[^/]+\/(?:get|post|patch|delete)$/u.test(at))
      .map(([, operation]) => z.string().parse(operation["operationId"]));
    const ids: readonly string[] = routes.map(({ id }) => id);
    assert.deepEqual(operations.toSorted(), ids.toSorted());
    assert.equal(new Set(operations).size, operations.length);
  });

  test("declares exactly the parameters that a path has", () => {
    for (const route of routes) {
      const inPath = [...route.path.matchAll(/\{(\w+)\}/gu)].map((match) => match[1] ?? "");
      const declared = "params" in route ? Object.keys(route.params.shape) : [];
      assert.deepEqual(declared.toSorted(), inPath.toSorted(), route.id);
    }
  });

  test("leaves the objects of replies open for members to come, and closes those of requests", () => {
    const closed = [...known].filter(([, schema]) => schema["additionalProperties"] === false);
    const names = closed.map(([at]) => at);
    assert.ok(names.includes("#/components/schemas/CreateEnvironment"));
    const replies = names.filter((at) => at.includes("/responses/"));
    assert.deepEqual(replies, []);
    for (const name of ["Environment", "Run", "Step", "Template", "Command", "Problem"])
      assert.ok(!names.some((at) => `${at}/`.startsWith(`#/components/schemas/${name}/`)), name);
  });

  test("lets every operation answer a problem", () => {
    for (const [at, operation] of known) {
      if (operation["operationId"] === undefined) continue;
      assert.ok(known.has(`${at}/responses/default/content/application~1problem+json`), at);
    }
  });

  test("says of every operation what it is for, in a tag that is described", () => {
    const tags = z.array(z.object({ name: z.string() })).parse(document["tags"]);
    for (const route of routes) {
      assert.ok(route.summary.length > 3, route.id);
      assert.ok(
        tags.some(({ name }) => name === route.tag),
        route.tag,
      );
    }
  });
});

suite("paths", () => {
  test("are filled in with escaped parts", () => {
    const route = {
      id: "x",
      method: "GET",
      path: "/a/{b}/c/{d}",
      summary: "",
      tag: "service",
      replies: {},
    } as const;
    assert.equal(pathOf(route, { b: "x y", d: "../z" }), "/a/x%20y/c/..%2Fz");
  });
});
