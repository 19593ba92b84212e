import { z } from "zod";
import { GlasshouseError } from "../../domain/errors.ts";
import type { HttpAnswer } from "../http/connection.ts";
import { faultOf, wordsOf } from "./faults.ts";
import type { VaultSession } from "./session.ts";

/** A key of a KV engine, version 2. */
export interface KvPlace {
  readonly mount: string;
  readonly path: string;
}

export interface KvOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface KvVersion {
  readonly version: number;
  readonly data: Readonly<Record<string, unknown>>;
}

const writtenSchema = z.object({ data: z.object({ version: z.int() }) });
const readSchema = z.object({
  data: z.object({
    data: z.record(z.string(), z.unknown()).nullable(),
    metadata: z.object({ version: z.int() }),
  }),
});

/**
 * Writes a version, only when the newest one is `cas` (0: there is none). Not repeated by itself: after `unavailable` or
 * `timeout` it may have been carried out. Null when another version is the newest. Errors: those of the session.
 */
export async function writeVersion(
  session: VaultSession,
  place: KvPlace,
  of: KvOptions & { readonly cas: number; readonly data: Readonly<Record<string, string>> },
): Promise<number | null> {
  try {
    const answer = await session.call({
      method: "POST",
      path: `${place.mount}/data/${pathOf(place.path)}`,
      body: { options: { cas: of.cas }, data: of.data },
      repeatable: false,
      signal: of.signal,
    });
    return writtenSchema.parse(JSON.parse(answer.body.toString("utf8"))).data.version;
  } catch (error) {
    const known = error instanceof GlasshouseError ? error : null;
    if (known?.code === "invalid-request" && known.message.includes("check-and-set")) return null;
    throw error;
  }
}

/** A version, the newest when it is 0; null when it was never there or is deleted. Errors: `unavailable` when there is no such engine; those of the session. */
export async function readVersion(
  session: VaultSession,
  place: KvPlace,
  of: KvOptions & { readonly version: number },
): Promise<KvVersion | null> {
  const query = of.version === 0 ? "" : `?version=${of.version}`;
  const answer = await session.call({
    method: "GET",
    path: `${place.mount}/data/${pathOf(place.path)}${query}`,
    repeatable: true,
    expected: [404],
    signal: of.signal,
  });
  if (answer.status === 404) return absent(answer, "data", place);
  const { data } = readSchema.parse(JSON.parse(answer.body.toString("utf8")));
  return data.data === null ? null : { version: data.metadata.version, data: data.data };
}

/** Says who a key belongs to, in its metadata. Safe to repeat. Errors: those of the session. */
export async function markKey(
  session: VaultSession,
  place: KvPlace,
  of: KvOptions & { readonly marks: Readonly<Record<string, string>> },
): Promise<void> {
  await session.call({
    method: "POST",
    path: `${place.mount}/metadata/${pathOf(place.path)}`,
    body: { custom_metadata: of.marks },
    repeatable: true,
    signal: of.signal,
  });
}

/** A key without its values. */
export interface KvKey {
  /** The newest, deleted or not; 0 when there was none yet. */
  readonly version: number;
  readonly marks: Readonly<Record<string, string>>;
}

const keySchema = z.object({
  data: z.object({
    current_version: z.int(),
    custom_metadata: z.record(z.string(), z.string()).nullish(),
  }),
});

/** What is known of a key, or null when it is not there: a token that may not look gets an error. Errors: `unavailable` when there is no such engine; those of the session. */
export async function lookAtKey(
  session: VaultSession,
  place: KvPlace,
  { signal }: KvOptions,
): Promise<KvKey | null> {
  const answer = await session.call({
    method: "GET",
    path: `${place.mount}/metadata/${pathOf(place.path)}`,
    repeatable: true,
    expected: [404],
    signal,
  });
  if (answer.status === 404) return absent(answer, "metadata", place);
  const { data } = keySchema.parse(JSON.parse(answer.body.toString("utf8")));
  return { version: data.current_version, marks: data.custom_metadata ?? {} };
}

/** Takes all versions and the metadata away. What is not there is no error. Safe to repeat. Errors: those of the session. */
export async function destroyKey(
  session: VaultSession,
  place: KvPlace,
  { signal }: KvOptions,
): Promise<void> {
  await session.call({
    method: "DELETE",
    path: `${place.mount}/metadata/${pathOf(place.path)}`,
    repeatable: true,
    expected: [404],
    signal,
  });
}

const passwordSchema = z.object({ data: z.object({ password: z.string().min(1) }) });

/** A password as a policy of Vault makes it. Each call makes another one. Errors: those of the session. */
export async function passwordOf(
  session: VaultSession,
  policy: string,
  { signal }: KvOptions,
): Promise<string> {
  const answer = await session.call({
    method: "GET",
    path: `sys/policies/password/${encodeURIComponent(policy)}/generate`,
    repeatable: true,
    signal,
  });
  return passwordSchema.parse(JSON.parse(answer.body.toString("utf8"))).data.password;
}

/** What Vault has words for is no key that is not there: its engine is not, and then nothing is known of the key. */
function absent(answer: HttpAnswer, kind: "data" | "metadata", { mount, path }: KvPlace): null {
  if (wordsOf(answer.body) === "") return null;
  const fault = faultOf(answer, { method: "GET", path: `${mount}/${kind}/${path}` });
  throw new GlasshouseError(
    "unavailable",
    `${fault.message} Work waits until there is a KV engine, version 2, at ${mount}.`,
  );
}

/** What is wrong with a path, in words; null when nothing is. */
export function kvPathFault(path: string): string | null {
  const parts = path.split("/");
  if (parts.some((part) => part === "" || part === "." || part === ".."))
    return `The path ${JSON.stringify(path)} must be parts with "/" between them, none of them empty, "." or "..".`;
  return /^[\x20-\x7e]+$/u.test(path)
    ? null
    : `The path ${JSON.stringify(path)} may hold only visible ASCII characters.`;
}

/** Slashes stay: they are part of the path. */
function pathOf(path: string): string {
  return encodeURIComponent(path).replaceAll("%2F", "/");
}
