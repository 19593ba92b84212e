import { canonicalJson } from "../lib/json.ts";
import type { CertificateWish, IssuedFacts } from "./certificate.ts";
import { GlasshouseError } from "./errors.ts";
import type { Value } from "./value.ts";

const longestCommonName = 64;
const ipv4Pattern = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/u;
const hostPattern =
  /^(?:\*\.)?(?:[a-z0-9_](?:[-a-z0-9_]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/iu;

/**
 * What is asked for by names whose expressions were evaluated. Errors: `step-failed` for a name that no certificate can bear,
 * or that cannot be told.
 */
export function wishOfNames(
  name: string,
  of: Pick<CertificateWish, "role" | "ttlMs" | "renewBeforeMs"> & {
    readonly commonName: Value;
    readonly altNames: readonly Value[];
  },
): CertificateWish {
  const { role, ttlMs, renewBeforeMs } = of;
  const commonName = textOf(name, "commonName", of.commonName);
  if (commonName.length > longestCommonName)
    throw unfit(
      name,
      "commonName",
      `${shown(commonName)} has more than ${longestCommonName} characters`,
    );
  const others = of.altNames.map((value) => {
    const alt = textOf(name, "altNames", value);
    if (nameKind(alt) !== null) return alt;
    throw unfit(name, "altNames", `${shown(alt)} is no host name, IP address or URI`);
  });
  const altNames = [
    ...new Set([...(nameKind(commonName) === null ? [] : [commonName]), ...others]),
  ];
  return { role, commonName, altNames, ttlMs, renewBeforeMs };
}

/** What kind of alternative name a text is; null when it is none. */
export function nameKind(text: string): "dns" | "ip" | "url" | null {
  if (ipv4Pattern.test(text) || isIpv6(text)) return "ip";
  if (/^[a-z][a-z0-9+.-]*:\/\//iu.test(text) && URL.canParse(text)) return "url";
  return text.length <= 253 && hostPattern.test(text) ? "dns" : null;
}

/** The names with their kinds; what is no name is left out. */
export function typedNames(
  names: readonly string[],
): readonly { readonly type: "dns" | "ip" | "url"; readonly value: string }[] {
  return names.flatMap((value) => {
    const type = nameKind(value);
    return type === null ? [] : [{ type, value }];
  });
}

function isIpv6(text: string): boolean {
  return text.includes(":") && /^[0-9a-f:.]+$/iu.test(text) && URL.canParse(`http://[${text}]/`);
}

export function isSameWish(one: CertificateWish, other: CertificateWish): boolean {
  return canonicalJson({ ...one }) === canonicalJson({ ...other });
}

/**
 * When the next one is due. An authority may give less time than was asked for: then at two thirds of what there is, at the
 * latest.
 */
export function renewalOf(
  { notBefore, notAfter }: Pick<IssuedFacts, "notBefore" | "notAfter">,
  { ttlMs, renewBeforeMs }: Pick<CertificateWish, "ttlMs" | "renewBeforeMs">,
): string {
  const [fromMs, untilMs] = [Date.parse(notBefore), Date.parse(notAfter)];
  const lifeMs = untilMs - fromMs;
  const before = lifeMs >= ttlMs * 0.9 ? renewBeforeMs : Math.min(renewBeforeMs, lifeMs / 3);
  return new Date(untilMs - before).toISOString();
}

function textOf(name: string, member: string, value: Value): string {
  if (typeof value !== "string" || value === "")
    throw unfit(
      name,
      member,
      "it gives no text; a name of a certificate is text that is not secret",
    );
  if (/\p{Cc}/u.test(value)) throw unfit(name, member, "it holds control characters");
  return value;
}

function unfit(name: string, member: string, why: string): GlasshouseError {
  return new GlasshouseError(
    "step-failed",
    `The certificate ${name} cannot be issued, because of its ${member}: ${why}.`,
  );
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}…` : text);
}
