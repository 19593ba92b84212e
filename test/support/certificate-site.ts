import { createPrivateKey, X509Certificate } from "node:crypto";
import { z } from "zod";
import type { TemplateFacts } from "./outside.ts";
import type { Site } from "./site.ts";

/** Says under which name the world knows it: the file `<environment>.name` outside, or else a name of its own. */
const name = `#!/bin/sh
set -eu
name="$GLASSHOUSE_ENVIRONMENT_NAME.example.com"
[ ! -e "$1/$GLASSHOUSE_ENVIRONMENT_NAME.name" ] || name=$(cat "$1/$GLASSHOUSE_ENVIRONMENT_NAME.name")
printf '{"outputs":{"host":"%s"}}' "$name" > "$GLASSHOUSE_RESULT"
`;

/** Writes what it is given where the test alone looks, prints all of it, and notes that it acted. */
const keep = `#!/bin/sh
set -eu
cat > "$1/$GLASSHOUSE_ENVIRONMENT_NAME.$GLASSHOUSE_GROUP.json"
cat "$1/$GLASSHOUSE_ENVIRONMENT_NAME.$GLASSHOUSE_GROUP.json"
if command -v jq > /dev/null; then jq -r .inputs.key "$1/$GLASSHOUSE_ENVIRONMENT_NAME.$GLASSHOUSE_GROUP.json"; fi
echo "$GLASSHOUSE_GROUP" >> "$1/$GLASSHOUSE_ENVIRONMENT_NAME.acted"
[ ! -e "$1/$GLASSHOUSE_ENVIRONMENT_NAME.refuse" ] || exit 1
while [ -e "$1/hold" ]; do sleep 0.05; done
`;

const parts = {
  certificate: "${{ certificates.web.certificate }}",
  key: "${{ certificates.web.key }}",
  chain: "${{ certificates.web.chain }}",
  ca: "${{ certificates.web.ca }}",
};

/** `host` says a name, `web` is the certificate for it, and `server` uses all of that: three steps, one after the other. */
export function certificateTemplate(site: Site, more: Partial<TemplateFacts> = {}): TemplateFacts {
  const { directory } = site.outside;
  return {
    name: "tls",
    more: { certificates: { web: certificate() } },
    groups: {
      host: group(["./name", directory], {}, ["host"]),
      server: group(["./keep", directory], parts, []),
    },
    files: certificateFiles(),
    ...more,
  };
}

function group(
  create: readonly string[],
  inputs: object,
  outputs: readonly string[],
): { readonly more: Readonly<Record<string, unknown>> } {
  return { more: { with: { create, inputs, repeatable: true }, outputs } };
}

/** With another note everything that they make is made again. */
export function certificateFiles(note = "first"): Readonly<Record<string, string>> {
  return { name: `${name}# ${note}\n`, keep };
}

export function certificate(more: object = {}): object {
  return {
    role: "web",
    commonName: "${{ groups.host.outputs.host }}",
    altNames: ["10.0.0.1", "api.${{ groups.host.outputs.host }}"],
    ttl: "48h",
    ...more,
  };
}

const keptSchema = z.object({
  inputs: z.object({
    certificate: z.string(),
    key: z.string(),
    chain: z.string(),
    ca: z.string(),
  }),
});

/** What the group `server` of the environment was given last. */
export async function kept(
  site: Site,
  environment: string,
): Promise<z.output<typeof keptSchema>["inputs"]> {
  const text = await site.outside.read(`${environment}.server.json`);
  return keptSchema.parse(JSON.parse(text ?? "null")).inputs;
}

/** What is wrong with what somebody was given: the key must be the certificate's, and the authority must have issued it. */
export function complaintsAboutKept(of: z.output<typeof keptSchema>["inputs"]): readonly string[] {
  const issued = new X509Certificate(of.certificate);
  const first = new X509Certificate(of.chain);
  // The issuing authority is the next of the chain where there is one between, else the one to trust.
  const rest = of.chain.split(/(?<=-----END CERTIFICATE-----)\s*/u).filter((one) => one !== "")[1];
  const above = new X509Certificate(rest ?? of.ca);
  return [
    ...(issued.checkPrivateKey(createPrivateKey(of.key)) ? [] : ["the key is of something else"]),
    ...(issued.verify(above.publicKey) ? [] : ["the authority has not signed it"]),
    ...(above.ca ? [] : ["the authority may not issue certificates"]),
    ...(first.serialNumber === issued.serialNumber ? [] : ["the chain begins with another one"]),
  ];
}

/** Groups that acted since the last time it was asked. */
export async function acted(site: Site, environment: string): Promise<readonly string[]> {
  const lines = (await site.outside.read(`${environment}.acted`))?.trim().split("\n") ?? [];
  await site.outside.remove(`${environment}.acted`);
  return lines;
}

export function serialOf(pem: string): string {
  return new X509Certificate(pem).serialNumber.toLowerCase();
}
