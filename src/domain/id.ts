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
  const tail = inLetters(bitsOf(random, 0), 8) + inLetters(bitsOf(random, 5), 8);
  return `${idPrefixes[kind]}_${inLetters(atMs, 10)}${tail}`;
}

/** Five bytes from `at` as one number: forty bits, which a number holds exactly. */
function bitsOf(bytes: Uint8Array, at: number): number {
  let bits = 0;
  for (let n = at; n < at + 5; n += 1) bits = bits * 256 + (bytes[n] ?? 0);
  return bits;
}

/** So many letters of five bits each, the highest first. */
function inLetters(bits: number, count: number): string {
  let text = "";
  let rest = bits;
  for (let n = 0; n < count; n += 1) {
    text = alphabet.charAt(rest % 32) + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}

/** True when the text has the form of an id of this kind. Names can never have it: they contain no underscore. */
export function isId(kind: IdKind, text: string): boolean {
  return idPattern.exec(text)?.[1] === idPrefixes[kind];
}

/** Names of environments and templates: a DNS label. */
export const namePattern = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/u;

/** Keys of parameters, groups, resources, outputs, checks, actions, so that expressions can name them. */
export const keyPattern = /^[a-z][a-z0-9_]*$/u;
