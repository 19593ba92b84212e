import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fs, {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { templateFiles } from "./template-files.ts";

const root = mkdtempSync(join(tmpdir(), "glasshouse-files-"));
after(() => rmSync(root, { recursive: true, force: true }));

test("puts the files, removes those of an earlier version, and leaves what a program made", async () => {
  const directory = newDirectory();
  await lay(directory, { "main.tf": "1", "modules/a/main.tf": "2" });
  writeFileSync(join(directory, "modules/a/made"), "theirs");
  await lay(directory, { "main.tf": "3", "other.tf": "4" });
  assert.deepEqual(listed(directory), ["main.tf", "modules/a/made", "other.tf"]);
  assert.equal(readFileSync(join(directory, "main.tf"), "utf8"), "3");
});

test("puts what somebody removed again, and reads no content for what lies there", async () => {
  const directory = newDirectory();
  const files = { "main.tf": "1", "modules/a/main.tf": "2", "modules/b/main.tf": "3" };
  assert.deepEqual(await lay(directory, files), ["1", "2", "3"]);
  assert.deepEqual(await lay(directory, files), []);
  rmSync(join(directory, "modules"), { recursive: true });
  assert.deepEqual(await lay(directory, files), ["2", "3"]);
  assert.equal(readFileSync(join(directory, "modules/a/main.tf"), "utf8"), "2");
});

test("replaces a link that a program left in place of a folder, and follows it nowhere", async () => {
  const [directory, outside] = [newDirectory(), newDirectory()];
  mkdirSync(join(outside, "a"), { recursive: true });
  writeFileSync(join(outside, "a/main.tf"), "theirs");
  const files = { "modules/a/main.tf": "ours" };
  await lay(directory, files);
  rmSync(join(directory, "modules"), { recursive: true });
  symlinkSync(outside, join(directory, "modules"));
  await lay(directory, files);
  assert.equal(readFileSync(join(directory, "modules/a/main.tf"), "utf8"), "ours");
  assert.equal(readFileSync(join(outside, "a/main.tf"), "utf8"), "theirs");
});

test("removes nothing that a program wrote into the list of files", async () => {
  const [directory, outside] = [newDirectory(), newDirectory()];
  mkdirSync(outside);
  const precious = join(outside, "precious");
  writeFileSync(precious, "theirs");
  await lay(directory, { "main.tf": "1" });
  const names = [`../${outside.split("/").at(-1)}/precious`, precious, "made/../../x", "/", "."];
  const list = join(directory, ".glasshouse-files.json");
  writeFileSync(list, JSON.stringify(Object.fromEntries(names.map((name) => [name, "x"]))));
  await lay(directory, { "main.tf": "2" });
  assert.ok(existsSync(precious));
  assert.equal(readFileSync(join(directory, "main.tf"), "utf8"), "2");
});

test("looks at nothing but its own files, however much a tool keeps beside them", async (t) => {
  const directory = newDirectory();
  const files = { "main.tf": "1", "modules/a/main.tf": "2" };
  await lay(directory, files);
  for (let n = 0; n < 50; n += 1)
    mkdirSync(join(directory, `.terraform/providers/${n}/x/y/z`), { recursive: true });
  const looks = t.mock.method(fs, "lstatSync");
  const listings = t.mock.method(fs.promises, "readdir");
  syncBuiltinESMExports();
  await lay(directory, files);
  // Each file, and each folder on the way.
  assert.equal(looks.mock.callCount(), 4);
  assert.equal(listings.mock.callCount(), 0);
  t.mock.restoreAll();
  syncBuiltinESMExports();
});

let directories = 0;
function newDirectory(): string {
  directories += 1;
  return join(root, String(directories));
}

/** Gives the contents that had to be fetched. */
async function lay(
  directory: string,
  texts: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const read: string[] = [];
  const byDigest = new Map(Object.values(texts).map((text) => [digestOf(text), text]));
  const files = Object.entries(texts).map(([path, text]) => ({
    path,
    mode: 0o644,
    size: text.length,
    digest: digestOf(text),
  }));
  const get = async (digest: string): Promise<Uint8Array> => {
    const text = byDigest.get(digest) ?? "";
    read.push(text);
    return Buffer.from(text);
  };
  await templateFiles(files, { get }).materialise("", directory);
  return read;
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function listed(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== ".glasshouse-files.json")
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}
