import type { GitCredential } from "../adapters/sources/git/index.ts";
import type { Config } from "../contract/config.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { resolveReference } from "./config-grants.ts";

/** What `git.hosts` says, with references looked up, by host. Errors: `invalid-configuration`, naming the key. */
export async function gitCredentials(
  { git }: Pick<Config, "git">,
  variables: Readonly<Record<string, string | undefined>>,
): Promise<ReadonlyMap<string, GitCredential>> {
  const found = new Map<string, GitCredential>();
  for (const [host, { username, password }] of Object.entries(git.hosts)) {
    const key = `git.hosts.${host}`;
    found.set(host, {
      username: await oneLine(`${key}.username`, username, variables),
      password: await oneLine(`${key}.password`, password, variables),
    });
  }
  return found;
}

/** What a reference stands for, which must be one line. Errors: `invalid-configuration`, naming the key. */
export async function oneLine(
  key: string,
  reference: string,
  variables: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const value = await resolveReference(key, reference, variables);
  if (!/[\0\r\n]/u.test(value)) return value;
  throw new GlasshouseError("invalid-configuration", `${key} must be one line.`);
}
