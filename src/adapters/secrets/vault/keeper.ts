import { randomBytes } from "node:crypto";
import { covers } from "../../../clients/vault/grants.ts";
import {
  destroyKey,
  markKey,
  passwordOf,
  readVersion,
  writeVersion,
  type KvPlace,
} from "../../../clients/vault/kv.ts";
import type { VaultSession } from "../../../clients/vault/session.ts";
import { waitingForPolicy } from "../../../clients/vault/waiting.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import { ownedSecretName, secretCharsets, type SecretSource } from "../../../domain/secret.ts";
import { randomText } from "../../../lib/random-text.ts";
import type { SealedSecret } from "../../../ports/repositories.ts";
import type {
  MadeSecret,
  SecretKeeper,
  SecretOrder,
  SecretParts,
  SecretSealer,
} from "../../../ports/secrets.ts";
import { keyOf, locatorOf, sealLocator, type Locator } from "./place.ts";

export interface VaultKeeperOptions {
  readonly session: VaultSession;
  readonly sealer: SecretSealer;
  /** Mount of a KV engine, version 2. */
  readonly mount: string;
  /** Folder in it. */
  readonly prefix: string;
  /** Values of others that templates may name: `mount/path`, or `mount/path/*` for all below. */
  readonly shared: readonly string[];
}

const opensMs = 30_000;

/**
 * Keeps values in Vault's KV engine, version 2, a key for each secret of an environment. A version is written once by
 * compare-and-set and carries what it was made for, so a write whose answer was lost is found again and never repeated.
 */
export function vaultKeeper(options: VaultKeeperOptions): SecretKeeper {
  return {
    name: "vault",
    isOutside: true,
    make: async (order) => {
      refuseUnshared(options, order);
      return waitingForPolicy(() => make(options, order));
    },
    open: (secret) => waitingForPolicy(() => open(options, secret)),
    remove: (place, signal) =>
      waitingForPolicy(() => destroyKey(options.session, keyOf(options, place), { signal })),
  };
}

async function make(options: VaultKeeperOptions, order: SecretOrder): Promise<MadeSecret> {
  const { from } = order.declaration;
  const locator =
    from === undefined ? await write(options, order) : await find(options, { ...order, from });
  const name = ownedSecretName({ ...order, kind: "secret" });
  return sealLocator(options.sealer, locator, { environmentId: order.environmentId, name });
}

async function write(options: VaultKeeperOptions, order: SecretOrder): Promise<Locator> {
  const { session, sealer } = options;
  const { signal, declaration } = order;
  const key = keyOf(options, order);
  const cas = order.previous === null ? 0 : locatorOf(sealer, order.previous).version;
  const madeFor = `${order.environmentId}/${order.template}/${order.name}/${order.version}`;
  const value =
    declaration.policy === undefined
      ? randomText(declaration.length, secretCharsets[declaration.charset], randomBytes)
      : await passwordOf(session, declaration.policy, { signal });
  const written = await writeVersion(session, key, {
    cas,
    data: { value, made_for: madeFor },
    signal,
  });
  const version = written ?? (await earlier(session, key, { version: cas + 1, madeFor, signal }));
  const marks = { owner: "glasshouse", environment: order.environmentId, secret: order.name };
  if (cas === 0) await markKey(session, key, { marks, signal });
  return { ...key, version };
}

/** Errors: `forbidden`, by the operator and not by Vault: waiting is no help. */
function refuseUnshared({ shared }: VaultKeeperOptions, { name, declaration }: SecretOrder): void {
  const { from } = declaration;
  if (from === undefined) return;
  const whole = `${from.mount}/${from.path}`;
  if (shared.some((allowed) => covers(allowed, whole))) return;
  throw new GlasshouseError(
    "forbidden",
    `The secret ${name} is to come from ${whole} in Vault, which templates may not name: the operator allows it with vault.shared.`,
  );
}

/**
 * The newest version of a value that somebody else keeps, which it stays until it is rotated. Errors: `unavailable` while it is
 * not there.
 */
async function find(
  { session }: VaultKeeperOptions,
  of: Pick<SecretOrder, "name" | "signal"> & { readonly from: SecretSource },
): Promise<Locator> {
  const { mount, path, field } = of.from;
  const found = await readVersion(session, of.from, { version: 0, signal: of.signal });
  if (typeof found?.data[field] === "string") return { mount, path, field, version: found.version };
  throw new GlasshouseError(
    "unavailable",
    `The secret ${of.name} is to come from ${mount}/${path} in Vault, but there is no text ${field}: work waits until somebody puts it there.`,
  );
}

/** The version that an earlier try has written without hearing of it. Errors: `conflict` when it is somebody else's. */
async function earlier(
  session: VaultSession,
  key: KvPlace,
  of: { readonly version: number; readonly madeFor: string; readonly signal: AbortSignal },
): Promise<number> {
  const found = await readVersion(session, key, of);
  if (found?.data["made_for"] === of.madeFor) return found.version;
  throw new GlasshouseError(
    "conflict",
    `The key ${key.mount}/${key.path} in Vault was changed by somebody else, so nothing was written: look at it (vault kv metadata get), take away what does not belong there, and try again.`,
  );
}

async function open(
  { session, sealer }: VaultKeeperOptions,
  secret: SealedSecret,
): Promise<SecretParts> {
  const locator = locatorOf(sealer, secret);
  const signal = AbortSignal.timeout(opensMs);
  const found = await readVersion(session, locator, { version: locator.version, signal });
  const { field } = locator;
  const texts = Object.entries(found?.data ?? {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  const parts = field === undefined ? texts : texts.filter(([name]) => name === field);
  if (parts.length > 0)
    return Object.fromEntries(
      parts.map(([name, text]) => [field === undefined ? name : "value", text]),
    );
  throw new GlasshouseError(
    "unavailable",
    `Version ${locator.version} of ${locator.mount}/${locator.path} is not in Vault: bring it back (vault kv undelete), or rotate the secret.`,
  );
}
