import { GlasshouseError } from "../domain/errors.ts";
import {
  replaceSecrets,
  sealContext,
  secretsOf,
  type SecretRef,
  type Value,
} from "../domain/value.ts";
import type { Json } from "../lib/json.ts";
import type { Mask } from "../lib/mask.ts";
import { timestamp } from "../ports/clock.ts";
import type { Tx } from "../ports/store.ts";
import type { SecretParts } from "../ports/secrets.ts";
import type { EngineDeps } from "./deps.ts";
import { keeperOf } from "./keeper.ts";

/** Plain values in place of references; each of them is masked in the step's log from then on. Errors: `unavailable` when one is gone. */
export async function reveal(deps: EngineDeps, value: Value, mask: Mask): Promise<Json> {
  const ids = [...new Set(secretsOf(value).map((secret) => secret.$secret))];
  const rows =
    ids.length === 0
      ? []
      : await deps.store.read((tx) => Promise.all(ids.map((id) => tx.secrets.get(id))));
  const opened = new Map<string, SecretParts>();
  for (const row of rows)
    if (row !== null) opened.set(row.id, await keeperOf(deps, row.keeper).open(row));
  return replaceSecrets(value, ({ $secret, part = "value" }) => {
    const plain = opened.get($secret)?.[part];
    if (plain === undefined)
      throw new GlasshouseError(
        "unavailable",
        `The sealed value ${$secret} is not in the store${part === "value" ? "" : `, or has no ${part}`}.`,
      );
    mask.add(plain);
    return plain;
  });
}

/** Seals a value for an environment within a transaction. The same name and value give the same reference. */
export async function sealIn(
  tx: Tx,
  deps: Pick<EngineDeps, "sealer" | "clock">,
  of: { readonly environmentId: string; readonly name: string; readonly plain: string },
): Promise<SecretRef> {
  const fingerprint = deps.sealer.fingerprint(of.plain);
  const known = await tx.secrets.same(of.environmentId, of.name, fingerprint);
  if (known !== null) return { $secret: known.id, fingerprint };
  const id = deps.clock.id("secret");
  const sealed = deps.sealer.seal(of.plain, sealContext(of.environmentId, of.name));
  await tx.secrets.put({
    id,
    environmentId: of.environmentId,
    name: of.name,
    sealed,
    fingerprint,
    keeper: "embedded",
    createdAt: timestamp(deps.clock),
  });
  return { $secret: id, fingerprint };
}
