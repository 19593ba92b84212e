/** Ids name their kind: `env_01k…`. The part after the prefix sorts by time of creation. */
export const idPrefixes = {
  environment: "env",
  template: "tpl",
  plan: "pln",
  resource: "res",
  run: "run",
  step: "stp",
  command: "cmd",
  event: "evt",
  secret: "sec",
  worker: "wrk",
} as const;

export type IdKind = keyof typeof idPrefixes;

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const idPattern = /^([a-z]{3})_[0-9a-hjkmnp-tv-z]{26}$/u;

/**
 * Formats an id from a time and 10 random bytes, in the layout of a ULID (https://github.com/ulid/spec) in lower case:
 * 10 characters of time in milliseconds, 16 of randomness.
 */
export function formatId(kind: IdKind, atMs: number, random: Uint8Array): string {
  let time = "";
  for (let rest = atMs, n = 0; n < 10; n += 1, rest = Math.floor(rest / 32))
    time = alphabet.charAt(rest % 32) + time;
  let bits = 0n;
  for (const byte of random.subarray(0, 10)) bits = (bits << 8n) | BigInt(byte);
  let tail = "";
  for (let n = 0; n < 16; n += 1, bits >>= 5n) tail = alphabet.charAt(Number(bits & 31n)) + tail;
  return `${idPrefixes[kind]}_${time}${tail}`;
}

/** True when the text has the form of an id of this kind. Names can never have it: they contain no underscore. */
export function isId(kind: IdKind, text: string): boolean {
  return idPattern.exec(text)?.[1] === idPrefixes[kind];
}

/** Names of environments and templates: a DNS label. */
export const namePattern = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/u;

/** Keys of parameters, groups, resources, outputs, checks, actions, so that expressions can name them. */
export const keyPattern = /^[a-z][a-z0-9_]*$/u;
