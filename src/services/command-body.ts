import { createHash } from "node:crypto";
import { canonicalJson, isJsonObject, toJson, type Json } from "../lib/json.ts";
import { secretMask, type Values } from "../domain/value.ts";
import type { SecretSealer } from "../ports/secrets.ts";
import type { CommandRequest } from "./effect.ts";

/**
 * What makes two messages with one id the same command: an HMAC over what they ask for. Plain secrets go into it, so that
 * another secret is another body, and only the HMAC is kept.
 */
export function bodyHmac(
  sealer: Pick<SecretSealer, "fingerprint">,
  request: CommandRequest,
): string {
  const archive =
    request.archive === undefined
      ? null
      : createHash("sha256").update(request.archive).digest("hex");
  const body = toJson({
    type: request.type,
    subject: request.subject,
    data: request.data ?? {},
    archive,
    ifSequence: request.ifSequence ?? null,
  });
  // The prefix keeps these apart from fingerprints of secrets.
  return sealer.fingerprint(`command\n${canonicalJson(body)}`);
}

/** Bodies larger than this are kept by their digest. */
const largestKept = 256 * 1024;

/**
 * The body as a refused command keeps it. Which parameters are secret may not be known (the template was not found), so
 * none of them is kept.
 */
export function keptData(data: unknown): Json {
  const json = typeof data === "object" && data !== null ? toJson(data) : null;
  if (!isJsonObject(json)) return json;
  const { archive, parameters, ...rest } = json;
  return bounded({
    ...rest,
    ...(archive === undefined ? {} : { archive: "(not kept)" }),
    ...(isJsonObject(parameters) ? { parameters: masked(parameters) } : {}),
  });
}

/** The body with its parameters replaced by those that are kept: secrets as references. */
export function withParameters(data: object, parameters: Values): Json {
  const json = toJson(data);
  return bounded(isJsonObject(json) ? { ...json, parameters: toJson(parameters) } : json);
}

function masked(parameters: Readonly<Record<string, Json>>): Json {
  return Object.fromEntries(Object.keys(parameters).map((name) => [name, secretMask]));
}

function bounded(json: Json): Json {
  const text = JSON.stringify(json);
  if (text.length <= largestKept) return json;
  return { tooLarge: text.length, sha256: createHash("sha256").update(text).digest("hex") };
}
