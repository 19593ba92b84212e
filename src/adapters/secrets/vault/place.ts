import { z } from "zod";
import type { KvPlace } from "../../../clients/vault/kv.ts";
import { sealContext } from "../../../domain/value.ts";
import type { SealedSecret } from "../../../ports/repositories.ts";
import type { SecretPlace, SecretSealer } from "../../../ports/secrets.ts";

/** What the store keeps of a version, sealed as well: where it is. */
const locatorSchema = z.object({
  mount: z.string(),
  path: z.string(),
  version: z.int(),
  field: z.string().optional(),
});
export type Locator = z.output<typeof locatorSchema>;

export function keyOf(
  { mount, prefix }: { readonly mount: string; readonly prefix: string },
  of: SecretPlace,
): KvPlace {
  return { mount, path: `${prefix}/${of.environmentId}/${of.template}/${of.name}` };
}

export function locatorOf(
  sealer: SecretSealer,
  { sealed, environmentId, name }: Pick<SealedSecret, "sealed" | "environmentId" | "name">,
): Locator {
  return locatorSchema.parse(JSON.parse(sealer.open(sealed, sealContext(environmentId, name))));
}

/** Sealed for the owner and name that the store knows it by. */
export function sealLocator(
  sealer: SecretSealer,
  locator: Locator,
  of: { readonly environmentId: string; readonly name: string },
): { readonly sealed: Uint8Array; readonly fingerprint: string } {
  const { mount, path, version, field = "value" } = locator;
  return {
    sealed: sealer.seal(JSON.stringify(locator), sealContext(of.environmentId, of.name)),
    fingerprint: sealer.fingerprint(`vault:${mount}/${path}#${field}@${version}`),
  };
}
