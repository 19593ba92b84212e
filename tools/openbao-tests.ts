import { spawnSync } from "node:child_process";
import { join } from "node:path";

/**
 * `npm run test:openbao [-- words of file names]`: the tests that meet Vault once more, against OpenBao, which `npm run tools -- openbao`
 * fetches. What OpenBao has not got is skipped by name. Exits with that of the tests.
 */
const usual = [
  "system/vault/",
  "system/consul/discovery",
  "system/demo",
  "system/git/login",
  "crash/canary",
  "crash/group-certificates",
];

const root = join(import.meta.dirname, "..");

function main(words: readonly string[]): number {
  const asked = words.length > 0 ? words : usual;
  const args = ["tools/run-tests.ts", "system", "crash", ...asked];
  const env = { ...process.env, GLASSHOUSE_TEST_VAULT: "openbao" };
  return spawnSync(process.execPath, args, { cwd: root, env, stdio: "inherit" }).status ?? 1;
}

process.exitCode = main(process.argv.slice(2));
