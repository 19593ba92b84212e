import type { Consul } from "./consul.ts";
import type { TemplateFacts } from "./outside.ts";
import { Site } from "./site.ts";

/** What a server needs for the keys of templates below `shop/`, and nothing more: as docs/consul.md has it. */
export const shopPolicy = `
key_prefix "shop/"       { policy = "write" }
key_prefix "glasshouse/" { policy = "write" }
`;

/** A server that works with this Consul. */
export async function consulSite(
  consul: Consul,
  token: string,
  more: { readonly url?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Site> {
  return Site.open({ env: consulVariables(consul, token, more) });
}

export function consulVariables(
  consul: Consul,
  token: string,
  more: { readonly url?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Readonly<Record<string, string>> {
  return {
    GLASSHOUSE_CONSUL_ADDRESS: more.url ?? consul.url(),
    GLASSHOUSE_CONSUL_TOKEN: "env:TEST_CONSUL_TOKEN",
    TEST_CONSUL_TOKEN: token,
    ...more.env,
  };
}

/** A command, keys with its output, and a command that uses an output of the keys. */
export function shopTemplate(
  version: string,
  keys: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, unknown>> = {},
): TemplateFacts {
  return {
    name: "shop",
    version,
    more: { parameters: { size: { type: "integer", default: 3 } } },
    groups: {
      database: "db.example.com",
      settings: {
        more: {
          executor: "consul-kv",
          outputs: ["prefix"],
          with: { prefix: "shop/${{ environment.name }}/", keys, ...more },
          resources: { keys: {} },
        },
      },
      web: "${{ groups.settings.outputs.prefix }}",
    },
  };
}
