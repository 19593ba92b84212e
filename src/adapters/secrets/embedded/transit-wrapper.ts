import type { VaultSession } from "../../../clients/vault/session.ts";
import {
  decrypt,
  encrypt,
  rewrap,
  versionOf,
  type TransitKey,
} from "../../../clients/vault/transit.ts";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { KeyWrapper } from "./wrapping.ts";

/** A key of Vault's transit engine, and who asks it. */
export interface TransitSource {
  readonly session: VaultSession;
  readonly key: TransitKey;
}

/** The data key is wrapped and unwrapped in Vault: what wraps it is never here. */
export function transitWrapper({ session, key }: TransitSource): KeyWrapper {
  const name = `Vault's key ${key.mount}/keys/${key.name}`;
  return {
    name,
    isOwn: (wrapped) => versionOf(textOf(wrapped)) !== null,
    wrap: async (dataKey) => bytesOf(await asked(name, () => encrypt(session, key, dataKey))),
    unwrap: (wrapped) => asked(name, () => decrypt(session, key, textOf(wrapped))),
    async renewed(wrapped) {
      const next = await asked(name, () => rewrap(session, key, textOf(wrapped)));
      return versionOf(next) === versionOf(textOf(wrapped)) ? null : bytesOf(next);
    },
  };
}

/** What Vault refuses is a mistake of the configuration, and what it does not do now may be done later. */
async function asked<T>(name: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    const code = cause instanceof GlasshouseError ? cause.code : null;
    if (code !== "invalid-request" && code !== "forbidden" && code !== "not-found") throw cause;
    const words = cause instanceof Error ? cause.message : String(cause);
    throw new GlasshouseError(
      "invalid-configuration",
      `${name} does not open the data key: ${words} Look at security.key, at the key and its versions in Vault, and at this server's policy.`,
      { cause },
    );
  }
}

function textOf(wrapped: Uint8Array): string {
  return Buffer.from(wrapped).toString("utf8").trim();
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(`${text}\n`, "utf8");
}
