import { z } from "zod";
import type { VaultSession } from "./session.ts";

/** A key of a transit engine: it never leaves Vault. */
export interface TransitKey {
  readonly mount: string;
  readonly name: string;
}

const sealedSchema = z.object({ data: z.object({ ciphertext: z.string().min(1) }) });
const openedSchema = z.object({ data: z.object({ plaintext: z.string() }) });

/** Text such as `vault:v1:…`, under the newest version of the key. Errors: those of the session. */
export async function encrypt(
  session: VaultSession,
  key: TransitKey,
  plain: Uint8Array,
): Promise<string> {
  const plaintext = Buffer.from(plain).toString("base64");
  return sealedSchema.parse(await ask(session, { key, what: "encrypt", body: { plaintext } })).data
    .ciphertext;
}

/** Errors: those of the session; `invalid-request` for what the key has not encrypted, or a version that it no longer has. */
export async function decrypt(
  session: VaultSession,
  key: TransitKey,
  ciphertext: string,
): Promise<Uint8Array> {
  const answer = await ask(session, { key, what: "decrypt", body: { ciphertext } });
  return new Uint8Array(Buffer.from(openedSchema.parse(answer).data.plaintext, "base64"));
}

/** The same under the newest version of the key, without ever showing it. Errors: as `decrypt`. */
export async function rewrap(
  session: VaultSession,
  key: TransitKey,
  ciphertext: string,
): Promise<string> {
  const answer = await ask(session, { key, what: "rewrap", body: { ciphertext } });
  return sealedSchema.parse(answer).data.ciphertext;
}

/** The version of the key that a text is under, or null when it is none of transit's. */
export function versionOf(ciphertext: string): number | null {
  const version = /^vault:v(?<version>\d+):/u.exec(ciphertext)?.groups?.["version"];
  return version === undefined ? null : Number(version);
}

async function ask(
  session: VaultSession,
  of: { readonly key: TransitKey; readonly what: string; readonly body: object },
): Promise<unknown> {
  const { key, what, body } = of;
  const path = `${key.mount}/${what}/${key.name}`;
  const answer = await session.call({ method: "POST", path, body, repeatable: true });
  return JSON.parse(answer.body.toString("utf8"));
}
