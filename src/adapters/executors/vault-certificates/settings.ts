import { z } from "zod";
import { kvPathFault, type KvPlace } from "../../../clients/vault/kv.ts";
import { nameKind, wishOfNames } from "../../../domain/certificate-wish.ts";
import {
  certificateTimes,
  shortestUseMs,
  type CertificateWish,
} from "../../../domain/certificate.ts";
import { GlasshouseError, type ErrorDetail } from "../../../domain/errors.ts";
import type { SettingsShape } from "../../../domain/settings.ts";
import type { Value } from "../../../domain/value.ts";
import { parseDuration } from "../../../lib/duration.ts";
import { isJsonObject, type Json } from "../../../lib/json.ts";

const rolePattern = /^\w(?:[\w.-]{0,126}\w)?$/u;
const mountPattern = "^[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*$";
const mostNames = 100;

/** `with:` of a group. */
export const settingsShape = {
  type: "object",
  fields: {
    path: {
      type: "string",
      required: true,
      description:
        "The key in the KV engine that gets certificate, chain and key, such as shop/${{ environment.name }}/tls",
    },
    role: {
      type: "string",
      required: true,
      description: "The role of the PKI engine that issues it",
    },
    commonName: {
      type: "string",
      required: true,
      description: "Whom it is for, at most 64 characters",
    },
    altNames: {
      type: "list",
      items: { type: "string" },
      description: "Further host names, IP addresses and URIs",
    },
    ttl: {
      type: "string",
      description: "How long it is good; 30d when left out",
    },
    renewBefore: {
      type: "string",
      description:
        "Another one is issued when it has so little time left; a third of ttl when left out",
    },
    mount: {
      type: "string",
      pattern: mountPattern,
      description: "Where the KV engine, version 2, is; vault.kv.mount when left out",
    },
    pki: {
      type: "string",
      pattern: mountPattern,
      description: "Where the PKI engine is; vault.pki.mount when left out",
    },
  },
} as const satisfies SettingsShape;

export interface CertificateSettings {
  readonly place: KvPlace;
  /** Mount of the PKI engine. */
  readonly pki: string;
  readonly wish: CertificateWish;
}

const text = z.string().min(1);
const parsed = z.object({
  path: text,
  role: text,
  commonName: z.custom<Value>(),
  altNames: z.array(z.custom<Value>()).max(mostNames).nullish(),
  ttl: text.nullish(),
  renewBefore: text.nullish(),
  mount: text.nullish(),
  pki: text.nullish(),
});

/** Settings whose expressions were evaluated. Errors: `step-failed` for what only shows then. */
export function parseSettings(
  group: string,
  settings: Value,
  defaults: { readonly mount: string; readonly pki: string },
): CertificateSettings {
  const { success, data, error } = parsed.safeParse(settings);
  if (!success)
    throw new GlasshouseError(
      "step-failed",
      `The settings do not fit once they are evaluated: path, role, ttl, renewBefore, mount and pki are text, altNames a list of at most ${mostNames}.`,
      { cause: error },
    );
  const { path, role, commonName, altNames } = data;
  const fault = kvPathFault(path) ?? roleFault(role);
  if (fault !== null) throw new GlasshouseError("step-failed", fault);
  const times = timesOf(data);
  if ("fault" in times) throw new GlasshouseError("step-failed", times.fault);
  return {
    place: { mount: data.mount ?? defaults.mount, path },
    pki: data.pki ?? defaults.pki,
    wish: wishOfNames(group, { ...times, role, commonName, altNames: altNames ?? [] }),
  };
}

/** Mistakes in settings whose expressions are still text. */
export function validateSettings(settings: Json): readonly ErrorDetail[] {
  if (!isJsonObject(settings)) return [];
  const { path, role, altNames, ttl, renewBefore } = settings;
  const details: ErrorDetail[] = [];
  const pathMistake = isWritten(path) ? kvPathFault(path) : null;
  if (pathMistake !== null) details.push({ message: pathMistake, pointer: "/path" });
  const roleMistake = isWritten(role) ? roleFault(role) : null;
  if (roleMistake !== null) details.push({ message: roleMistake, pointer: "/role" });
  const names = Array.isArray(altNames) ? altNames : [];
  if (names.length > mostNames)
    details.push({ message: `altNames has more than ${mostNames} names`, pointer: "/altNames" });
  for (const [index, name] of names.entries()) {
    if (!isWritten(name) || nameKind(name) !== null) continue;
    const message = `${JSON.stringify(name)} is no host name, IP address or URI`;
    details.push({ message, pointer: `/altNames/${index}` });
  }
  if ([ttl, renewBefore].every((one) => one === undefined || isWritten(one))) {
    const times = timesOf({ ttl, renewBefore });
    const pointer = ttl === undefined && renewBefore === undefined ? "" : `/${times.member}`;
    if ("fault" in times) details.push({ message: times.fault, pointer });
  }
  return details;
}

function isWritten(value: Json | undefined): value is string {
  return typeof value === "string" && !value.includes("${{");
}

interface SaidTimes {
  readonly ttl?: Json | undefined;
  readonly renewBefore?: Json | undefined;
}

/** `member` is where a fault is. */
function timesOf(
  said: SaidTimes,
): { readonly member: string } & (
  | { readonly fault: string }
  | Pick<CertificateWish, "ttlMs" | "renewBeforeMs">
) {
  for (const member of ["ttl", "renewBefore"] as const) {
    const value = said[member] ?? null;
    if (value !== null && (typeof value !== "string" || parseDuration(value) === null))
      return { member, fault: `${member} must be a time such as 720h or 30d` };
  }
  const { ttlMs, renewBeforeMs } = certificateTimes({
    ttlMs: msOf(said.ttl),
    renewBeforeMs: msOf(said.renewBefore),
  });
  const member = typeof said.renewBefore === "string" ? "renewBefore" : "ttl";
  if (ttlMs - renewBeforeMs >= shortestUseMs) return { member, ttlMs, renewBeforeMs };
  return {
    member,
    fault: "renewBefore must leave at least 1h of ttl: shorten it, or lengthen ttl",
  };
}

function msOf(said: Json | undefined): number | undefined {
  return typeof said === "string" ? (parseDuration(said) ?? undefined) : undefined;
}

function roleFault(role: string): string | null {
  return rolePattern.test(role)
    ? null
    : `The role ${JSON.stringify(role)} must be the name of a role of Vault's PKI engine.`;
}
