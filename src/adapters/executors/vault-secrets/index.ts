import { refuseUngranted, type VaultGranted } from "../../../clients/vault/grants.ts";
import { destroyKey, lookAtKey, markKey, writeVersion } from "../../../clients/vault/kv.ts";
import type { VaultSession } from "../../../clients/vault/session.ts";
import { asVaultStep, sessionOrRefusal } from "../../../clients/vault/waiting.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Change, ObservedResource } from "../../../domain/resource.ts";
import type { Values } from "../../../domain/value.ts";
import type {
  Executor,
  ExecutorContext,
  ExecutorPlan,
  ExecutorResult,
  Observation,
} from "../../../ports/executor.ts";
import { addressOf, look, memoryOf, type Look } from "./key.ts";
import { parseSettings, settingsShape, validateSettings, type SecretSettings } from "./settings.ts";

export interface VaultSecretsHost {
  /** Null: no Vault is configured. */
  readonly session: VaultSession | null;
  /** Of keys whose settings name none. */
  readonly mount: string;
  readonly granted: VaultGranted;
}

/**
 * A key in Vault's KV engine, version 2, for programs that read it there. Every write is compared with the version that was seen;
 * the key's metadata say whose it is and which version is about to be written, so what was cut off is known again.
 */
export function vaultSecretsExecutor(host: VaultSecretsHost): Executor {
  return {
    name: "vault-secrets",
    behaviour: 1,
    settings: settingsShape,
    filesOf: () => [],
    validate: validateSettings,
    // What the operator does not grant fails: only what Vault denies is waited for.
    plan: async (ctx) => {
      const wanted = grantedSettings(host, ctx);
      return asVaultStep(ctx.signal, () => plan(host, ctx, wanted));
    },
    apply: async (ctx) => {
      const wanted = grantedSettings(host, ctx);
      return asVaultStep(ctx.signal, () => apply(host, ctx, wanted));
    },
    destroy: (ctx) => asVaultStep(ctx.signal, () => destroy(host, ctx)),
    observe: (ctx) => asVaultStep(ctx.signal, () => observe(host, ctx)),
    // An apply and a destroy look first.
    settle: () => Promise.resolve({ kind: "again" }),
  };
}

async function plan(
  host: VaultSecretsHost,
  ctx: ExecutorContext,
  wanted: SecretSettings,
): Promise<ExecutorPlan> {
  const seen = await look(sessionOrRefusal(host.session), ctx, wanted);
  refuseForeign(ctx, seen);
  const moved = movedFrom(ctx, seen);
  return { changes: [...moved, changeOf(seen)], saved: null };
}

async function apply(
  host: VaultSecretsHost,
  ctx: ExecutorContext,
  wanted: SecretSettings,
): Promise<ExecutorResult> {
  const session = sessionOrRefusal(host.session);
  const seen = await look(session, ctx, wanted);
  refuseForeign(ctx, seen);
  const version =
    seen.difference === "none" ? (seen.key?.version ?? 0) : await write(session, ctx, seen);
  const moved = movedFrom(ctx, seen);
  const before = memoryOf(ctx);
  if (moved.length > 0 && before !== null) await takeAway(session, ctx, before);
  const { mount, path } = seen.place;
  return {
    outputs: outputsOf(ctx, wanted),
    observed: [observedOf(seen, version)],
    changes: [...moved, changeOf(seen)].filter(({ action }) => action !== "none"),
    memory: { mount, path, version },
  };
}

/** Errors: `forbidden` for a key that the operator has not granted; as `parseSettings`. */
function grantedSettings(
  { granted, mount }: VaultSecretsHost,
  { template, group, settings }: ExecutorContext,
): SecretSettings {
  const wanted = parseSettings(settings, mount);
  const of = { template: template.name, what: `group ${group}`, kind: "paths" } as const;
  refuseUngranted(granted, { ...of, whole: addressOf(wanted) });
  return wanted;
}

async function write(session: VaultSession, ctx: ExecutorContext, seen: Look): Promise<number> {
  const { place, wanted, key } = seen;
  const { signal } = ctx;
  if (seen.changed && ctx.previous?.drift !== "drifted" && ctx.previous?.drift !== "missing")
    throw conflict(ctx, seen, "since it was applied");
  const cas = key?.version ?? 0;
  const marks = { owner: ctx.owner, environment: ctx.environment.id, next: String(cas + 1) };
  await markKey(session, place, { marks, signal });
  signal.throwIfAborted();
  const version = await writeVersion(session, place, { cas, data: wanted, signal });
  if (version === null) throw conflict(ctx, seen, "just now");
  ctx.log(`[glasshouse] version ${version} of ${addressOf(place)} was written`);
  return version;
}

/** Only what carries this group's mark; what is another's stays, and what is not there is gone. */
async function destroy(host: VaultSecretsHost, ctx: ExecutorContext): Promise<void> {
  const session = sessionOrRefusal(host.session);
  const { mount, path } = parseSettings(ctx.settings, host.mount);
  await takeAway(session, ctx, { mount, path });
  const before = memoryOf(ctx);
  if (before !== null && addressOf(before) !== addressOf({ mount, path }))
    await takeAway(session, ctx, before);
}

async function takeAway(
  session: VaultSession,
  ctx: ExecutorContext,
  { mount, path }: { readonly mount: string; readonly path: string },
): Promise<void> {
  const place = { mount, path };
  const key = await lookAtKey(session, place, { signal: ctx.signal });
  if (key?.marks["owner"] !== ctx.owner) return;
  await destroyKey(session, place, { signal: ctx.signal });
  ctx.log(`[glasshouse] ${addressOf(place)} is gone from Vault`);
}

async function observe(host: VaultSecretsHost, ctx: ExecutorContext): Promise<Observation> {
  const wanted = parseSettings(ctx.settings, host.mount);
  const seen = await look(sessionOrRefusal(host.session), ctx, wanted);
  const isThere = !seen.foreign && seen.difference !== "absent";
  return {
    drift: isThere ? (seen.difference === "none" ? "none" : "drifted") : "missing",
    changes: seen.difference === "none" && isThere ? [] : [changeOf(seen)],
    observed: isThere ? [observedOf(seen, seen.key?.version ?? 0)] : [],
    outputs: seen.difference === "none" && isThere ? outputsOf(ctx, wanted) : null,
  };
}

/** The key under its name of before goes once the new one is there. */
function movedFrom(ctx: ExecutorContext, { place }: Look): readonly Change[] {
  const before = memoryOf(ctx);
  if (before === null || addressOf(before) === addressOf(place)) return [];
  return [{ address: addressOf(before), action: "destroy" }];
}

/** Names alone: values are shown nowhere. */
function changeOf({ place, difference, key, wanted }: Look): Change {
  const address = addressOf(place);
  if (difference === "none") return { address, action: "none" };
  const after = { fields: Object.keys(wanted).toSorted() };
  return difference === "absent"
    ? { address, action: "create", after }
    : { address, action: "update", before: { version: key?.version ?? 0 }, after };
}

function observedOf({ place, wanted }: Look, version: number): ObservedResource {
  return {
    address: addressOf(place),
    type: "vault_kv_secret",
    externalId: addressOf(place),
    attributes: { ...place, version, fields: Object.keys(wanted).toSorted() },
  };
}

/** An output is a field; `mount` and `path` say where the key is, unless there are such fields. Secrets stay references. */
function outputsOf(
  { declaredOutputs }: Pick<ExecutorContext, "declaredOutputs">,
  { mount, path, data }: SecretSettings,
): Values {
  const all: Values = { mount, path, ...data };
  const found = declaredOutputs.flatMap((name) => {
    const value = Object.hasOwn(all, name) ? all[name] : undefined;
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(found);
}

function refuseForeign(ctx: ExecutorContext, { foreign, place }: Look): void {
  if (!foreign) return;
  throw new GlasshouseError(
    "conflict",
    `The key ${addressOf(place)} is in Vault already and group ${ctx.group} did not make it. Nothing was written. Take it away or choose another path.`,
  );
}

function conflict(ctx: ExecutorContext, { place }: Look, when: string): GlasshouseError {
  return new GlasshouseError(
    "conflict",
    `Somebody else has changed ${addressOf(place)} of group ${ctx.group} ${when}. It was not overwritten. \`glasshouse env drift\` shows it; an update after that puts it right.`,
  );
}
