import { z } from "zod";
import { GlasshouseError } from "../../domain/errors.ts";
import type { HttpAnswer } from "../http/connection.ts";
import type { ConsulClient } from "./client.ts";
import type { Indexed } from "./watch.ts";
import { saysDenied } from "./faults.ts";

/** A key as it is in Consul. Indexes are Consul's logical time: `modifyIndex` is another after each write. */
export interface KvEntry {
  readonly key: string;
  readonly value: Buffer;
  readonly flags: number;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

/** One operation of a transaction. `index` is the `modifyIndex` that the key must have; 0 with `cas`: it must not be there. */
export type KvOperation =
  | {
      readonly verb: "cas";
      readonly key: string;
      /** UTF-8 text in base64, as Consul takes it. */
      readonly value: string;
      readonly flags: number;
      readonly index: number;
    }
  | { readonly verb: "delete-cas" | "check-index"; readonly key: string; readonly index: number }
  | { readonly verb: "check-not-exists"; readonly key: string };

/** Consul takes or refuses a transaction as a whole. */
export type KvOutcome =
  | { readonly kind: "taken"; readonly entries: readonly Omit<KvEntry, "value">[] }
  | { readonly kind: "refused"; readonly faults: readonly KvFault[] };

export interface KvFault {
  /** Index of the operation. */
  readonly at: number;
  /** Consul's words. */
  readonly what: string;
}

export interface KvOptions {
  /** That of the client when null. */
  readonly datacenter: string | null;
  readonly signal?: AbortSignal | undefined;
}

/** Consul's own limits, as they are unless its operator raised them. */
export const kvLimits = { operations: 128, requestBytes: 512 * 1024 } as const;

const entrySchema = z.object({
  Key: z.string(),
  Value: z.string().nullish(),
  Flags: z.number(),
  CreateIndex: z.number(),
  ModifyIndex: z.number(),
});
type Entry = z.output<typeof entrySchema>;
const entriesSchema = z.array(entrySchema);
const takenSchema = z.object({ Results: z.array(z.object({ KV: entrySchema })).nullish() });
const refusedSchema = z.object({
  Errors: z.array(z.object({ OpIndex: z.number(), What: z.string() })).nullish(),
});

/**
 * Every key below the prefix, in one request. **A key that the token may not read is left out**, so nothing is proven absent by
 * this. Errors: those of the client.
 */
export async function listKeys(
  client: ConsulClient,
  prefix: string,
  { datacenter, signal }: KvOptions,
): Promise<Indexed<readonly KvEntry[]>> {
  const answer = await client.call({
    method: "GET",
    path: `/kv/${pathOf(prefix)}`,
    query: { recurse: true, dc: datacenter },
    repeatable: true,
    expected: [404],
    signal,
  });
  const index = indexOf(answer);
  if (answer.status === 404) return { index, value: [] };
  const entries = entriesSchema.parse(JSON.parse(answer.body.toString("utf8")));
  return { index, value: entries.map(entryOf) };
}

/** What is below a prefix, without values: enough to tell whether it is what it was. */
export interface PrefixLook {
  /** Consul's index of the prefix: that of its newest write or removal, as long as Consul remembers that. */
  readonly index: number;
  /** The names of the keys as Consul writes them: a JSON list of texts. */
  readonly names: Buffer;
}

/** In one request. What `listKeys` says of keys that the token may not read holds here too. Errors: those of the client. */
export async function lookAtPrefix(
  client: ConsulClient,
  prefix: string,
  { datacenter, signal }: KvOptions,
): Promise<PrefixLook> {
  const answer = await client.call({
    method: "GET",
    path: `/kv/${pathOf(prefix)}`,
    query: { keys: true, dc: datacenter },
    repeatable: true,
    expected: [404],
    signal,
  });
  return { index: indexOf(answer), names: answer.status === 404 ? noNames : answer.body };
}

const noNames = Buffer.from("[]");

/** One key, or null. Errors: those of the client. */
export async function getKey(
  client: ConsulClient,
  key: string,
  { datacenter, signal }: KvOptions,
): Promise<KvEntry | null> {
  const answer = await client.call({
    method: "GET",
    path: `/kv/${pathOf(key)}`,
    query: { dc: datacenter },
    repeatable: true,
    expected: [404],
    signal,
  });
  if (answer.status === 404) return null;
  const [found] = entriesSchema.parse(JSON.parse(answer.body.toString("utf8")));
  return found === undefined ? null : entryOf(found);
}

/**
 * Does all operations or none. Not repeated by itself: after `unavailable` or `timeout` it may have been carried out, and only a
 * look tells. Errors: `forbidden` when the token may not do one of them, and those of the client.
 */
export async function transact(
  client: ConsulClient,
  operations: readonly KvOperation[],
  { datacenter, signal }: KvOptions,
): Promise<KvOutcome> {
  const answer = await client.call({
    method: "PUT",
    path: "/txn",
    // For one that only checks: the answer is proven to be no older than the question.
    query: { consistent: true, dc: datacenter },
    body: operations.map((operation) => ({ KV: wireOf(operation) })),
    repeatable: false,
    expected: [409],
    signal,
  });
  const body: unknown = JSON.parse(answer.body.toString("utf8"));
  if (answer.status !== 409) {
    const results = takenSchema.parse(body).Results ?? [];
    return { kind: "taken", entries: results.map(({ KV }) => indexesOf(KV)) };
  }
  const errors = refusedSchema.parse(body).Errors ?? [];
  const faults = errors.map(({ OpIndex: at, What: what }) => ({ at, what }));
  const denied = faults.find(({ what }) => saysDenied(what));
  if (denied === undefined) return { kind: "refused", faults };
  const key = operations[denied.at]?.key ?? "";
  throw new GlasshouseError("forbidden", `Consul refuses the key ${key}: ${denied.what}.`);
}

/** At most so many bytes an operation takes in a request. */
export function bytesOf(operation: KvOperation): number {
  const value = operation.verb === "cas" ? operation.value.length : 0;
  return Buffer.byteLength(JSON.stringify(operation.key)) + value + membersBytes;
}

/** Names of members, verb, flags and index. */
const membersBytes = 160;

function wireOf(operation: KvOperation): Readonly<Record<string, string | number>> {
  const { verb, key } = operation;
  switch (verb) {
    case "cas":
      return {
        Verb: verb,
        Key: key,
        Value: operation.value,
        Flags: operation.flags,
        Index: operation.index,
      };
    case "delete-cas":
    case "check-index":
      return { Verb: verb, Key: key, Index: operation.index };
    case "check-not-exists":
      return { Verb: verb, Key: key };
  }
}

function entryOf(entry: Entry): KvEntry {
  return { ...indexesOf(entry), value: Buffer.from(entry.Value ?? "", "base64") };
}

function indexesOf(entry: Entry): Omit<KvEntry, "value"> {
  return {
    key: entry.Key,
    flags: entry.Flags,
    createIndex: entry.CreateIndex,
    modifyIndex: entry.ModifyIndex,
  };
}

function indexOf({ headers }: Pick<HttpAnswer, "headers">): number {
  return Number(headers["x-consul-index"] ?? 0);
}

/** Slashes stay: they are part of the path. */
function pathOf(key: string): string {
  return encodeURIComponent(key).replaceAll("%2F", "/");
}
