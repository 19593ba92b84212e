import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { sealContext } from "../src/domain/value.ts";
import { createServiceWorld, shopYaml, type ServiceWorld } from "./support/services.ts";

const canary = `canary-${randomUUID()}`;
const forms = [
  canary,
  Buffer.from(canary).toString("base64").slice(0, 40),
  Buffer.from(canary).toString("hex"),
];

describe("secret parameters", () => {
  let w: ServiceWorld;
  before(async () => {
    w = await createServiceWorld();
    await w.register(shopYaml());
  });
  after(() => w.close());

  test("stand in no row, no event and no file, whatever became of the command", async () => {
    const of = (more: object = {}): object => ({
      template: "shop",
      parameters: { token: canary, ...more },
    });
    const { id, environmentId } = await w.send("environment.create", "e", of());
    await w.send("environment.update", "e", { parameters: { token: `${canary}-2` } });
    await w.send("environment.plan", "e", { parameters: { token: `${canary}-3` } });
    await w.refused("environment.create", "e", of());
    await w.refused("environment.create", "f", of({ size: 100 }));
    await w.refused("environment.create", "f", { template: "none", parameters: { token: canary } });
    await w.refused("environment.create", "f", {
      template: "shop",
      parameters: { token: [canary] },
    });
    await w.refused("environment.update", "e", { parameters: { token: canary }, reset: ["token"] });
    const found = leaks(w.directory);
    assert.ok(found.tables > 10, `only ${found.tables} tables were looked at`);
    assert.ok(found.files > 2, `only ${found.files} files were looked at`);
    assert.deepEqual(found.places, []);
    const command = await w.store.read((tx) => tx.commands.get(id));
    assert.match(JSON.stringify(command?.data), /"token":\{"\$secret":"sec_/u);
    const secrets = await w.store.read((tx) => tx.secrets.ofEnvironment(environmentId ?? ""));
    const [secret] = secrets.filter((one) => one.name === "parameter/token");
    assert.ok(secret !== undefined);
    const context = sealContext(secret.environmentId, secret.name);
    assert.equal(w.deps.sealer.open(secret.sealed, context), canary);
  });

  test("are sealed once for one value", async () => {
    await w.send("environment.create", "once", {
      template: "shop",
      parameters: { token: canary },
    });
    await w.send("environment.update", "once", { parameters: { token: canary } });
    const { id, desired } = await w.named("once");
    const secrets = await w.store.read((tx) => tx.secrets.ofEnvironment(id));
    assert.equal(secrets.length, 1);
    const { token } = desired.templates[0]?.parameters ?? {};
    assert.deepEqual(token, { $secret: secrets[0]?.id, fingerprint: secrets[0]?.fingerprint });
  });

  test("would be found if they were there", async () => {
    await w.send("environment.create", "g", { template: "shop", parameters: { token: "abcd" } });
    await w.send("environment.update", "g", { description: canary });
    assert.notDeepEqual(leaks(w.directory).places, []);
  });
});

/** Looks through every table and every file for the canary in its usual forms. */
function leaks(directory: string): {
  readonly tables: number;
  readonly files: number;
  readonly places: readonly string[];
} {
  const places: string[] = [];
  const database = new DatabaseSync(join(directory, "glasshouse.db"), { readOnly: true });
  const tables = database
    .prepare("select name from sqlite_master where type = 'table'")
    .all()
    .map((row) => String(row["name"]));
  for (const table of tables) {
    const rows = database.prepare(`select * from "${table}"`).all();
    if (holds(Buffer.from(JSON.stringify(rows, bytesAsText)))) places.push(table);
  }
  database.close();
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  for (const file of files) {
    if (holds(readFileSync(join(file.parentPath, file.name)))) places.push(file.name);
  }
  return { tables: tables.length, files: files.length, places };
}

function bytesAsText(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : value;
}

function holds(bytes: Buffer): boolean {
  return forms.some((form) => bytes.includes(form));
}
