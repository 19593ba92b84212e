import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Fails when one of the secrets stands in the bytes, plain or encoded. */
export function assertClean(what: string, bytes: Buffer, secrets: readonly string[]): void {
  for (const secret of secrets)
    for (const form of forms(secret))
      assert.ok(
        !bytes.includes(form),
        `${what} holds ${secret.slice(0, 7)} as ${form.toString().slice(0, 12)}…`,
      );
}

export async function filesBelow(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
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
