import { GlasshouseError } from "../domain/errors.ts";
import { checkParameters } from "../domain/parameters.ts";
import type { Template } from "../domain/template.ts";
import { isSecretRef, sealContext, type Value, type Values } from "../domain/value.ts";
import type { SealedSecret } from "../ports/repositories.ts";
import type { ReadTx, Tx } from "../ports/store.ts";
import type { Services } from "./deps.ts";

export interface ParameterChange {
  readonly environmentId: string;
  readonly template: Template;
  /** What this command names, plain. */
  readonly given: Values;
  readonly reset?: readonly string[];
  /** What the environment has now, with the template it was checked against. */
  readonly previous?: { readonly given: Values; readonly template: Template };
}

export interface KeptParameters {
  /** What the environment keeps: secrets as references. */
  readonly values: Values;
  /** What of it this command named: for the kept body of the command. */
  readonly named: Values;
  /** Rows that the references need, to be written in the same transaction. */
  readonly secrets: readonly SealedSecret[];
}

/**
 * Checks parameters and puts references in the place of secret values. Sealing is a few microseconds of cryptography, so
 * it may stand in a transaction. The same value gives the same reference. Errors: `invalid-parameters` with all mistakes.
 */
export async function keepParameters(
  tx: ReadTx,
  deps: Pick<Services, "sealer" | "clock">,
  of: ParameterChange & { readonly now: string },
): Promise<KeptParameters> {
  const checked = checkOrRefuse(deps, of);
  const secrets: SealedSecret[] = [];
  const kept: [string, Value][] = [];
  for (const [name, value] of Object.entries(checked)) {
    const secret = of.template.body.parameters[name]?.secret === true;
    if (!secret || typeof value !== "string") {
      kept.push([name, value]);
      continue;
    }
    const at = { environmentId: of.environmentId, name: `parameter/${name}` };
    const fingerprint = deps.sealer.fingerprint(value);
    const same = await tx.secrets.same(at.environmentId, at.name, fingerprint);
    const id = same?.id ?? deps.clock.id("secret");
    if (same === null) {
      const sealed = deps.sealer.seal(value, sealContext(at.environmentId, at.name));
      secrets.push({ ...at, id, sealed, fingerprint, keeper: "embedded", createdAt: of.now });
    }
    kept.push([name, { $secret: id, fingerprint }]);
  }
  const named = kept.filter(([name]) => Object.hasOwn(of.given, name));
  return { values: Object.fromEntries(kept), named: Object.fromEntries(named), secrets };
}

export async function putSecrets(tx: Tx, secrets: readonly SealedSecret[]): Promise<void> {
  for (const secret of secrets) await tx.secrets.put(secret);
}

/** Given now or before, without defaults; secrets that this command gives are still plain. */
function checkOrRefuse(deps: Pick<Services, "sealer">, of: ParameterChange): Values {
  const { template, previous, reset } = of;
  const outcome = checkParameters({
    declared: template.body.parameters,
    given: of.given,
    ...(reset === undefined ? {} : { reset }),
    ...(previous === undefined
      ? {}
      : {
          previous: { given: previous.given, declared: previous.template.body.parameters },
        }),
    isSame: (kept, plain) =>
      isSecretRef(kept) && kept.fingerprint === deps.sealer.fingerprint(plain),
  });
  if (outcome.problems.length === 0) return outcome.given;
  const [first] = outcome.problems;
  const more = outcome.problems.length > 1 ? ` And ${outcome.problems.length - 1} more.` : "";
  throw new GlasshouseError(
    "invalid-parameters",
    `The parameters do not fit template ${template.name}@${template.version}: ${first?.message ?? ""}${more}`,
    { details: outcome.problems },
  );
}
