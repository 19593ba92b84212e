import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import { z } from "zod";
import { commandTypes } from "../domain/command.ts";
import { isJsonObject, type Json } from "../lib/json.ts";
import { asyncApiDocument } from "./asyncapi.ts";

const document = asyncApiDocument("0.1.0");

suite("the AsyncAPI document", () => {
  test("is the one in docs/reference (npm run generate writes it)", () => {
    const file = join(import.meta.dirname, "../../docs/reference/asyncapi.json");
    const kept: unknown = JSON.parse(readFileSync(file, "utf8"));
    const version = z.object({ info: z.object({ version: z.string() }) }).parse(kept).info.version;
    assert.deepEqual(kept, asyncApiDocument(version));
  });

  test("fits the schema of AsyncAPI 3.0.0, which refuses what is wrong", () => {
    // Formats and the keywords of drafts before are no matter of structure.
    const ajv = new Ajv({ strict: false, validateFormats: false });
    const file = fileURLToPath(
      import.meta.resolve("@asyncapi/specs/schemas/3.0.0-without-$id.json"),
    );
    const schema: unknown = JSON.parse(readFileSync(file, "utf8"));
    const isValid = ajv.compile(z.record(z.string(), z.unknown()).parse(schema));
    assert.ok(isValid(document), JSON.stringify(isValid.errors));
    assert.ok(!isValid({ ...document, channels: { commands: { adress: "x" } } }));
  });

  test("has references that all lead somewhere", () => {
    const references = [...referencesIn(document)];
    assert.ok(references.length > 50);
    assert.deepEqual(
      references.filter((reference) => !leads(reference)),
      [],
    );
  });

  test("has a message for every command, whose payload a real command fits", () => {
    const ajv = new Ajv({ strict: false, validateFormats: false });
    ajv.addSchema({ $id: "doc", ...document });
    for (const type of commandTypes) {
      const validate = ajv.compile({ $ref: `doc#/components/messages/${type}/payload` });
      const command = { specversion: "1.0", id: "1", source: "https://ci.example.com", type };
      assert.ok(!validate({ ...command, type: "other" }), type);
      assert.ok(!validate({ ...command, id: 1 }), type);
    }
    const create = ajv.compile({ $ref: "doc#/components/messages/environment.create/payload" });
    const data = { name: "shop", template: "web-shop" };
    const command = { specversion: "1.0", id: "1", source: "s", type: "environment.create", data };
    assert.ok(create(command), JSON.stringify(create.errors));
    assert.ok(!create({ ...command, data: { ...data, name: "Not a name" } }));
  });
});

function* referencesIn(value: Json): Generator<string> {
  if (Array.isArray(value)) for (const item of value) yield* referencesIn(item);
  if (!isJsonObject(value)) return;
  for (const [key, item] of Object.entries(value)) {
    if (key === "$ref" && typeof item === "string") yield item;
    else yield* referencesIn(item);
  }
}

function leads(reference: string): boolean {
  let at: Json = document;
  for (const part of reference.slice(2).split("/")) {
    const next: Json | undefined = isJsonObject(at) ? at[part] : undefined;
    if (next === undefined) return false;
    at = next;
  }
  return reference.startsWith("#/");
}
