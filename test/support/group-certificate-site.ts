import { X509Certificate } from "node:crypto";
import { z } from "zod";
import type { TemplateFacts } from "./outside.ts";
import { documentedPolicy } from "./rotation.ts";
import type { EnvironmentView, Site } from "./site.ts";
import type { Vault } from "./vault.ts";
import { issuedBy } from "./vault-pki.ts";

/** Says under which name the world knows it: the file `<environment>.name` outside, or else a name of its own. */
const sayName = `#!/bin/sh
set -eu
name="$GLASSHOUSE_ENVIRONMENT_NAME.example.com"
[ ! -e "$1/$GLASSHOUSE_ENVIRONMENT_NAME.name" ] || name=$(cat "$1/$GLASSHOUSE_ENVIRONMENT_NAME.name")
printf '{"outputs":{"host":"%s"}}' "$name" > "$GLASSHOUSE_RESULT"
`;

/** Notes what it was told. */
const use = `#!/bin/sh
set -eu
cat > "$1/$GLASSHOUSE_ENVIRONMENT_NAME.told"
echo "$GLASSHOUSE_GROUP" >> "$1/$GLASSHOUSE_ENVIRONMENT_NAME.acted"
`;

/** `host` says a name, `web` is the certificate for it, and `server` is told where it is: three steps, one after the other. */
export function groupCertificateTemplate(
  site: Site,
  of: { readonly version?: string; readonly note?: string; readonly settings?: object } = {},
): TemplateFacts {
  const { directory } = site.outside;
  const { version = "1.0.0", note = "first", settings = {} } = of;
  const inputs = {
    serial: "${{ groups.web.outputs.serial }}",
    where: "${{ groups.web.outputs.path }}",
  };
  return {
    name: "served",
    version,
    more: { outputs: { expires: "${{ groups.web.outputs.not_after }}" } },
    groups: {
      host: {
        more: { with: { create: ["./name", directory], repeatable: true }, outputs: ["host"] },
      },
      web: {
        more: {
          executor: "vault-certificates",
          with: {
            path: "shop/${{ environment.name }}/tls",
            role: "web",
            commonName: "${{ groups.host.outputs.host }}",
            altNames: ["api.${{ groups.host.outputs.host }}", "10.0.0.1"],
            ttl: "48h",
            ...settings,
          },
          outputs: ["serial", "path", "not_after", "certificate", "chain", "ca"],
        },
      },
      server: {
        more: {
          with: { create: ["./use", directory], inputs, repeatable: true },
          outputs: [],
        },
      },
    },
    files: { name: `${sayName}# ${note}\n`, use },
  };
}

const toldSchema = z.object({ inputs: z.object({ serial: z.string(), where: z.string() }) });

/** What the group `server` was told last. */
export async function told(
  site: Site,
  environment: string,
): Promise<z.output<typeof toldSchema>["inputs"]> {
  const text = await site.outside.read(`${environment}.told`);
  return toldSchema.parse(JSON.parse(text ?? "null")).inputs;
}

const keptSchema = z.object({
  data: z.object({
    data: z.object({
      key: z.string(),
      certificate: z.string(),
      chain: z.string(),
      ca: z.string(),
    }),
    metadata: z.object({ version: z.int() }),
  }),
});

/** What programs of the environment read in Vault. */
export async function inVault(
  vault: Vault,
  environment: string,
): Promise<z.output<typeof keptSchema>["data"]> {
  return keptSchema.parse(await vault.request("GET", `secret/data/shop/${environment}/tls`)).data;
}

/** The numbers of the certificates for this environment's own name that are good. */
export async function goodOnes(vault: Vault, environment: string): Promise<readonly string[]> {
  const mine = await issuedBy(vault, (pem) =>
    new X509Certificate(pem).subject.startsWith(`CN=${environment}.`),
  );
  return mine.filter(({ revoked }) => !revoked).map(({ serial }) => serial);
}

/** The documented policy for groups of this executor: the tests run with no more. */
export const groupPolicy = documentedPolicy("keys");

/** What a server needs to work with this Vault under the documented policy. */
export async function groupVariables(vault: Vault): Promise<Readonly<Record<string, string>>> {
  return {
    GLASSHOUSE_VAULT_ADDRESS: vault.url,
    GLASSHOUSE_VAULT_TOKEN: "env:THE_TOKEN",
    GLASSHOUSE_TELEMETRY_LEVEL: "debug",
    THE_TOKEN: await vault.token(["glasshouse"], { no_default_policy: true }),
  };
}

/** The one certificate that the environment has, as it is shown. */
export async function certificateOf(
  site: Site,
  name: string,
): Promise<EnvironmentView["certificates"][number]> {
  const [one, ...others] = (await site.environment(name)).certificates;
  if (one === undefined || others.length > 0)
    throw new Error(`${name} has ${others.length + (one === undefined ? 0 : 1)} certificates`);
  return one;
}
