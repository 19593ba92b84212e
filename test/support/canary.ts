import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";

/** Fails when one of the secrets stands in the bytes, plain or encoded. */
export function assertClean(what: string, bytes: Buffer, secrets: readonly string[]): void {
  for (const secret of secrets)
    for (const form of forms(secret))
      assert.ok(
        !bytes.includes(form),
        `${what} holds ${secret.slice(0, 7)} as ${form.toString().slice(0, 12)}…`,
      );
}

/** Every file below a directory, as it is and unpacked where it is packed; without those that go while it looks. */
export async function* filesBelow(
  directory: string,
): AsyncGenerator<{ readonly path: string; readonly bytes: Buffer }> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path).catch(ifGone);
    if (bytes === null) continue;
    yield { path, bytes };
    if (bytes[0] === 0x1f && bytes[1] === 0x8b) yield { path, bytes: gunzipSync(bytes) };
  }
}

/** Fails when one of the secrets stands in a file below the directory, or when there is none to look at. */
export async function assertFilesClean(
  directory: string,
  secrets: readonly string[],
): Promise<void> {
  let looked = 0;
  for await (const { path, bytes } of filesBelow(directory)) {
    assertClean(path, bytes, secrets);
    looked += 1;
  }
  assert.ok(looked > 0, `${directory} has no files`);
}

/** A server that runs on takes away what it is done with, its work directories above all. */
function ifGone(error: unknown): null {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
  throw error;
}

/** Arguments and environments of all processes that this user can see, without the test's own. */
export async function processTexts(): Promise<
  readonly { readonly what: string; readonly bytes: Buffer }[]
> {
  const pids = (await readdir("/proc")).filter(
    (name) => /^\d+$/u.test(name) && name !== `${process.pid}`,
  );
  const texts = [];
  for (const pid of pids) {
    for (const file of ["cmdline", "environ"]) {
      const bytes = await readFile(`/proc/${pid}/${file}`).catch(() => null);
      if (bytes !== null) texts.push({ what: `/proc/${pid}/${file}`, bytes });
    }
  }
  assert.ok(texts.length > 4);
  return texts;
}

/** Forms in which a value could stand somewhere. */
function forms(secret: string): readonly Buffer[] {
  const base64 = Buffer.from(secret).toString("base64").replace(/=*$/u, "").slice(0, -2);
  return [secret, base64, Buffer.from(secret).toString("hex")].map((text) => Buffer.from(text));
}
