import { publicFacts } from "../../../clients/vault/certified-key.ts";
import type { CertificateWish } from "../../../domain/certificate.ts";
import type { Change, ObservedResource } from "../../../domain/resource.ts";
import type { Value, Values } from "../../../domain/value.ts";
import { formatDuration } from "../../../lib/duration.ts";
import { toJson, type JsonObject } from "../../../lib/json.ts";
import type { ExecutorContext, ExecutorResult } from "../../../ports/executor.ts";
import { numberedOf, type Made } from "./acts.ts";
import { addressOf, placeOf, type Due, type Look } from "./look.ts";
import { isSamePlace, type Memory } from "./memory.ts";

/** What an apply came to. `made` is null where what was seen is right. */
export function resultOf(
  { declaredOutputs, rotation }: Pick<ExecutorContext, "declaredOutputs" | "rotation">,
  of: { readonly seen: Look; readonly made: Made | null; readonly nowMs: number },
): ExecutorResult {
  const { seen, made, nowMs } = of;
  const { wanted, known, here } = seen;
  const texts = made?.texts ?? seen.present;
  if (texts === null) throw new TypeError("there is no certificate to tell of");
  const facts = publicFacts(texts);
  const version = made?.version ?? here?.version ?? 0;
  const { certificate, chain, ca } = texts;
  const all = {
    ...wanted.place,
    version,
    serial: facts.serial,
    issuer: facts.issuer,
    not_before: facts.notBefore,
    not_after: facts.notAfter,
    common_name: wanted.wish.commonName,
    certificate,
    chain,
    ca,
  };
  const memory: Memory = {
    place: placeOf(wanted),
    version,
    rotation: Math.max(rotation, here?.rotation ?? 0),
    asked: copyOf(wanted.wish),
    facts,
    earlier: earlierOf(known.memory, { serial: facts.serial, nowMs }),
    serial: made?.serial ?? known.serial,
  };
  return {
    outputs: outputsOf(declaredOutputs, all),
    observed: [resourceOf(memory)],
    changes: changesOf(seen).filter(({ action }) => action !== "none"),
    memory: toJson(memory),
    certificate: { ...facts, asked: wanted.wish, keeper: "vault", mount: wanted.pki },
  };
}

/** The key is no output: it is read in Vault. */
function outputsOf(names: readonly string[], all: Readonly<Record<string, Value>>): Values {
  const found = names.flatMap((name) => {
    const value = Object.hasOwn(all, name) ? all[name] : undefined;
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(found);
}

/** Those before that somebody may use still. */
function earlierOf(
  memory: Memory | null,
  { serial, nowMs }: { readonly serial: string; readonly nowMs: number },
): Memory["earlier"] {
  const all = memory === null ? [] : numberedOf(memory);
  return all.filter((one) => one.serial !== serial && Date.parse(one.notAfter) > nowMs);
}

/** What an apply would do, in the words of all executors. What is public, and nothing else. */
export function changesOf(seen: Look): readonly Change[] {
  const { wanted, known, due, here } = seen;
  const address = addressOf(wanted.place);
  const wish = copyOf(wanted.wish);
  const elsewhere = known.places
    .filter((place) => !isSamePlace(place, wanted.place))
    .map((place): Change => ({ address: addressOf(place), action: "destroy" }));
  if (due === null) return [...elsewhere, { address, action: "none" }];
  const after = askedOf(wish, wanted.pki);
  if (here === null || due === "absent")
    return [...elsewhere, { address, action: "create", after }];
  const { serial, notAfter } = here.facts;
  if (due === "names") {
    const before = { ...askedOf(here.asked, here.place.pki), serial };
    return [...elsewhere, { address, action: "replace", before, after }];
  }
  const reason = reasons[due];
  return [
    ...elsewhere,
    { address, action: "update", before: { serial, notAfter }, after: { reason } },
  ];
}

const reasons: Readonly<Record<Exclude<Due, "absent" | "names">, string>> = {
  changed: "somebody else has changed the key: another certificate is issued",
  revoked: "it was revoked: another one is issued",
  asked: "another one was asked for",
  window: "it is in its renewal window: another one is issued",
};

function copyOf(wish: CertificateWish): Memory["asked"] {
  return { ...wish, altNames: [...wish.altNames] };
}

function askedOf(asked: Memory["asked"], pki: string): JsonObject {
  const { role, commonName, altNames, ttlMs, renewBeforeMs } = asked;
  const times = { ttl: formatDuration(ttlMs), renewBefore: formatDuration(renewBeforeMs) };
  return { pki, role, commonName, altNames: [...altNames], ...times };
}

/** As it is recorded: what is in Vault now is said by the drift. */
export function observedOf({ here }: Look): readonly ObservedResource[] {
  return here === null ? [] : [resourceOf(here)];
}

function resourceOf({ place, version, asked, facts }: Memory): ObservedResource {
  const { role, commonName, altNames } = asked;
  return {
    address: addressOf(place),
    type: "vault_pki_certificate",
    externalId: facts.serial,
    attributes: { ...place, version, role, commonName, altNames, ...facts },
  };
}
