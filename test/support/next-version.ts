import { cp, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { migrations } from "../../src/adapters/stores/sql/migrations.ts";

const root = join(import.meta.dirname, "..", "..");
const newest = migrations.at(-1)?.version ?? 0;

/** What the next version says that it is. */
export const nextVersion = "999.0.0";

/**
 * Makes the program of the next version in a folder that exists: this one with another number and one more change of the
 * schema, of the kind that expands and that the version before works with. Returns the path of its `bin/glasshouse`.
 */
export async function makeNextVersion(folder: string): Promise<string> {
  for (const part of ["bin", "src", "docs", "templates", "package.json"])
    await cp(join(root, part), join(folder, part), { recursive: true });
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await edit(join(folder, "package.json"), (text) =>
    text.replace(/"version": "[^"]+"/u, `"version": "${nextVersion}"`),
  );
  await edit(join(folder, "src/adapters/stores/sql/migrations.ts"), (text) =>
    text.replace(/\n\];\n/u, `\n  ${migration},\n];\n`),
  );
  return join(folder, "bin", "glasshouse");
}

const columns = ["environment", "run", "step", "command", "event", "groupRecord"];
const statements = [
  ...columns.map((table) => `alter table "${table}" add column "later" text not null default ''`),
  `create table "later" ("id" text primary key)`,
];
const migration = `{ version: ${newest + 1}, name: "later", oldest: ${newest}, statements: () => ${JSON.stringify(statements)} }`;

async function edit(path: string, change: (text: string) => string): Promise<void> {
  const before = await readFile(path, "utf8");
  const after = change(before);
  if (after === before) throw new Error(`nothing in ${path} is as the next version expects it`);
  await writeFile(path, after);
}
