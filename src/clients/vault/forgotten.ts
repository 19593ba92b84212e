import { X509Certificate, type KeyObject } from "node:crypto";
import { listSerials, readCertificate, type PkiOptions } from "./pki.ts";
import type { VaultSession } from "./session.ts";
import type { Log } from "../../ports/telemetry.ts";

/** Requests at once, and the most that are looked through. */
const atOnce = 16;
const most = 50_000;

export interface Forgotten {
  readonly serials: readonly string[];
  /** Nothing else can have been issued. */
  readonly isWhole: boolean;
}

/**
 * The numbers of what a PKI engine has issued for this key. It knows its certificates by number alone, so all that it keeps are
 * looked through: needed only after somebody was cut off between asking and hearing. Errors: those of the session.
 */
export async function serialsOfKey(
  session: VaultSession,
  key: KeyObject,
  { mount, signal, log }: PkiOptions & { readonly log: Log },
): Promise<Forgotten> {
  const listed = await listSerials(session, { mount, signal });
  if (listed.length > most)
    log.warn(
      "Vault keeps more certificates than are looked through: one may have been issued that nobody heard of, and is not revoked; its key is given to nobody",
      { mount, kept: listed.length, most },
    );
  const waiting = listed.slice(0, most);
  const found: string[] = [];
  const look = async (): Promise<void> => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const known = await readCertificate(session, next, { mount, signal });
      if (known !== null && new X509Certificate(known.text).checkPrivateKey(key))
        found.push(next.replaceAll(/[:-]/gu, "").toLowerCase());
    }
  };
  await Promise.all(Array.from({ length: atOnce }, look));
  return { serials: found, isWhole: listed.length <= most };
}
