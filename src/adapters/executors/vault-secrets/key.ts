import { lookAtKey, readVersion, type KvKey, type KvPlace } from "../../../clients/vault/kv.ts";
import type { VaultSession } from "../../../clients/vault/session.ts";
import { isJsonObject, type Json } from "../../../lib/json.ts";
import type { ExecutorContext } from "../../../ports/executor.ts";
import type { SecretSettings } from "./settings.ts";

/** What is there now, beside what is wanted. Values are in memory only. */
export interface Look {
  readonly place: KvPlace;
  /** Null: it is not there. */
  readonly key: KvKey | null;
  readonly difference: "none" | "absent" | "other";
  readonly wanted: Readonly<Record<string, string>>;
  /** Another has written it since this group did. */
  readonly changed: boolean;
  readonly foreign: boolean;
}

/** What the record keeps of the last apply. */
export interface Memory {
  readonly mount: string;
  readonly path: string;
  readonly version: number;
}

export async function look(
  session: VaultSession,
  ctx: ExecutorContext,
  wanted: SecretSettings,
): Promise<Look> {
  const place = { mount: wanted.mount, path: wanted.path };
  const revealed = await ctx.reveal(wanted.data);
  const texts = textsOf(revealed);
  const key = await lookAtKey(session, place, { signal: ctx.signal });
  const about = { place, key, wanted: texts };
  if (key === null) return { ...about, difference: "absent", changed: false, foreign: false };
  const foreign = key.marks["owner"] !== ctx.owner;
  // What is another's is not read.
  const version =
    foreign || key.version === 0
      ? null
      : await readVersion(session, place, { version: 0, signal: ctx.signal });
  const same = version !== null && isSame(version.data, texts);
  return {
    ...about,
    foreign,
    difference: version === null ? "absent" : same ? "none" : "other",
    changed: isChanged(key, memoryOf(ctx), place),
  };
}

/** Neither the version that the record knows, nor the one that a try of ours was about to write. */
function isChanged(key: KvKey, memory: Memory | null, place: KvPlace): boolean {
  if (memory === null || memory.mount !== place.mount || memory.path !== place.path) return false;
  return key.version !== memory.version && String(key.version) !== key.marks["next"];
}

export function memoryOf({ previous }: Pick<ExecutorContext, "previous">): Memory | null {
  const memory = previous?.memory;
  if (memory === undefined || !isJsonObject(memory)) return null;
  const { mount, path, version } = memory;
  if (typeof mount !== "string" || typeof path !== "string") return null;
  return { mount, path, version: typeof version === "number" ? version : 0 };
}

function textsOf(value: Json): Readonly<Record<string, string>> {
  if (!isJsonObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      typeof item === "string" ? item : JSON.stringify(item),
    ]),
  );
}

function isSame(
  there: Readonly<Record<string, unknown>>,
  wanted: Readonly<Record<string, string>>,
): boolean {
  const names = Object.keys(wanted);
  return (
    names.length === Object.keys(there).length &&
    names.every((name) => there[name] === wanted[name])
  );
}

export function addressOf({ mount, path }: KvPlace): string {
  return `${mount}/${path}`;
}
