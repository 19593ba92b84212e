import type { ModuleHosts } from "../adapters/executors/terraform/index.ts";
import type { Config } from "../contract/config.ts";
import { oneLine } from "./git-credentials.ts";

type Hosts = Config["executors"]["terraform"]["hosts"];
type Variables = Readonly<Record<string, string | undefined>>;

/**
 * What `executors.terraform.hosts` says, with references looked up, by template name: what is granted to one replaces what all have
 * for the same host. Errors: `invalid-configuration`, naming the key.
 */
export async function moduleHosts(
  { hosts, templates }: Pick<Config["executors"]["terraform"], "hosts" | "templates">,
  variables: Variables,
): Promise<(template: string) => ModuleHosts> {
  const key = "executors.terraform";
  const shared = await resolved(`${key}.hosts`, hosts, variables);
  const single = new Map<string, ModuleHosts>();
  for (const [name, own] of Object.entries(templates)) {
    const granted = await resolved(`${key}.templates.${name}.hosts`, own.hosts, variables);
    const others = <T extends { readonly host: string }>(all: readonly T[]): readonly T[] =>
      all.filter(({ host }) => own.hosts[host] === undefined);
    single.set(name, {
      logins: [...others(shared.logins), ...granted.logins],
      tokens: [...others(shared.tokens), ...granted.tokens],
    });
  }
  return (template) => single.get(template) ?? shared;
}

async function resolved(key: string, hosts: Hosts, variables: Variables): Promise<ModuleHosts> {
  const logins: ModuleHosts["logins"][number][] = [];
  const tokens: ModuleHosts["tokens"][number][] = [];
  for (const [host, { username, password, token }] of Object.entries(hosts)) {
    const at = `${key}.${host}`;
    if (password !== undefined)
      logins.push({
        host,
        username: await oneLine(`${at}.username`, username, variables),
        password: await oneLine(`${at}.password`, password, variables),
      });
    if (token !== undefined)
      tokens.push({ host, token: await oneLine(`${at}.token`, token, variables) });
  }
  return { logins, tokens };
}
