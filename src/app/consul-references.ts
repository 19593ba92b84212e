import type { ConsulClient } from "../clients/consul/client.ts";
import type { Config } from "../contract/config.ts";
import { GlasshouseError } from "../domain/errors.ts";
import { isJsonObject, toJson } from "../lib/json.ts";
import { referencesIn } from "./references.ts";

export const consulPrefix = "consul:kv/";

const looksMs = 30_000;
const form = /^consul:kv\/(?<key>[^#\s]+)(?:#(?<member>[^#\s]+))?$/u;

/**
 * Looks up every `consul:kv/<key>` and `consul:kv/<key>#<member>` that the configuration refers to, once, and gives them as variables
 * that have the whole reference as their name: what reads references finds them there. Errors: `invalid-configuration` for one that
 * leads nowhere, and those of the client.
 */
export async function consulVariables(
  config: Config,
  client: ConsulClient | null,
): Promise<Readonly<Record<string, string>>> {
  const { consul: _itself, ...others } = config;
  const references = referencesIn(toJson(others), consulPrefix);
  if (references.length === 0 || client === null) return {};
  const signal = AbortSignal.timeout(looksMs);
  const found = references.map(
    async (reference) => [reference, await lookUp(client, reference, signal)] as const,
  );
  return Object.fromEntries(await Promise.all(found));
}

async function lookUp(
  client: ConsulClient,
  reference: string,
  signal: AbortSignal,
): Promise<string> {
  const parts = form.exec(reference)?.groups;
  const key = parts?.["key"];
  if (key === undefined)
    throw wrong(
      `${reference} is no reference to a key of Consul: write consul:kv/<key>, or consul:kv/<key>#<member> for a member of a JSON object.`,
    );
  const { getKey } = await import("../clients/consul/kv.ts");
  const entry = await getKey(client, key, { datacenter: null, signal });
  if (entry === null)
    throw wrong(
      `${reference} leads nowhere: Consul has no key ${key} that the token may read (key_prefix read).`,
    );
  const text = entry.value.toString("utf8");
  const member = parts?.["member"];
  return member === undefined ? text.replace(/\r?\n$/u, "") : memberOf(text, { reference, member });
}

/** Never with the value, which may be meant for few. */
function memberOf(
  text: string,
  { reference, member }: { readonly reference: string; readonly member: string },
): string {
  const value = parsed(text);
  if (!isJsonObject(value))
    throw wrong(`${reference} leads nowhere: the key's value is no JSON object.`);
  const found = value[member];
  if (typeof found === "string" || typeof found === "number" || typeof found === "boolean")
    return String(found);
  throw wrong(`${reference} leads nowhere: the key's value has no text or number ${member}.`);
}

function parsed(text: string): ReturnType<typeof toJson> {
  try {
    return toJson(JSON.parse(text));
  } catch {
    return null;
  }
}

function wrong(message: string): GlasshouseError {
  return new GlasshouseError("invalid-configuration", message);
}
