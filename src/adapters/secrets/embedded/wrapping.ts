import { randomBytes } from "node:crypto";
import { GlasshouseError } from "../../../domain/errors.ts";

const keyBytes = 32;

/** What wraps the data key, so that it never lies open. */
export interface KeyWrapper {
  /** For people, such as `the key file /etc/root.key`. */
  readonly name: string;
  /** By its form: it may still be the work of another one of its kind. */
  isOwn(wrapped: Uint8Array): boolean;
  wrap(dataKey: Uint8Array): Promise<Uint8Array>;
  /** Errors: `invalid-configuration` when it was wrapped by another one, those of reaching it. */
  unwrap(wrapped: Uint8Array): Promise<Uint8Array>;
  /** The same under the newest version of what wraps it, or null when it is. */
  renewed(wrapped: Uint8Array): Promise<Uint8Array | null>;
}

/** Where the wrapped data key lies. */
export interface WrappedKeyPlace {
  /** For people, such as a path. */
  readonly name: string;
  read(): Promise<Uint8Array | null>;
  /** Keeps this one unless there is one; gives the one that is kept. */
  keep(wrapped: Uint8Array): Promise<Uint8Array>;
  /** Puts `next` in the place of `before`, in one step; nothing when another one is there. */
  replace(before: Uint8Array, next: Uint8Array): Promise<void>;
}

export interface WrappedKeyOptions {
  readonly place: WrappedKeyPlace;
  readonly wrapper: KeyWrapper;
  /** What wrapped it before, when that is to change. */
  readonly previous: KeyWrapper | null;
  /** Only when there is no data yet. */
  readonly mayCreate: boolean;
  /** Told of what was done to the wrapped key, for the log. */
  readonly changed: (what: string) => void;
}

/**
 * The data key. It is made and wrapped when there is none and there may be one; wrapped anew when what wraps it has a newer version, or
 * was changed. It itself never changes, so nothing that it has sealed is touched. Safe to repeat and to be cut off.
 * Errors: `invalid-configuration` when what is named does not open it; those of place and wrapper.
 */
export async function openWrappedKey(options: WrappedKeyOptions): Promise<Uint8Array> {
  const { place, wrapper, previous } = options;
  const wrapped = await place.read();
  if (wrapped === null) return create(options);
  if (previous !== null && !(await opens(wrapper, wrapped))) return move(options, wrapped);
  if (!wrapper.isOwn(wrapped)) throw wrappedElsewhere(options, wrapped);
  const dataKey = await wrapper.unwrap(wrapped);
  const renewed = await wrapper.renewed(wrapped);
  if (renewed === null) return dataKey;
  await replace(options, { wrapped, next: renewed, dataKey });
  options.changed(`It is wrapped by the newest version of ${wrapper.name} now`);
  return dataKey;
}

async function create({ place, wrapper, mayCreate }: WrappedKeyOptions): Promise<Uint8Array> {
  if (!mayCreate)
    throw new GlasshouseError(
      "invalid-configuration",
      `${place.name} is missing: it is the data key that the existing data was sealed with, and no new one can take its place. Restore it from a backup.`,
    );
  const made = await place.keep(await wrapper.wrap(randomBytes(keyBytes)));
  return wrapper.unwrap(made);
}

async function opens(wrapper: KeyWrapper, wrapped: Uint8Array): Promise<boolean> {
  if (!wrapper.isOwn(wrapped)) return false;
  try {
    await wrapper.unwrap(wrapped);
    return true;
  } catch (error) {
    if (error instanceof GlasshouseError && error.code === "invalid-configuration") return false;
    throw error;
  }
}

async function move(options: WrappedKeyOptions, wrapped: Uint8Array): Promise<Uint8Array> {
  const { wrapper, previous } = options;
  if (previous === null || !previous.isOwn(wrapped)) throw wrappedElsewhere(options, wrapped);
  const dataKey = await previous.unwrap(wrapped);
  await replace(options, { wrapped, next: await wrapper.wrap(dataKey), dataKey });
  options.changed(`It is wrapped by ${wrapper.name} now, and no longer by ${previous.name}`);
  return dataKey;
}

/** What wraps it must have opened what is to be kept: else nothing would ever open the data again. */
async function replace(
  { place, wrapper }: WrappedKeyOptions,
  of: { readonly wrapped: Uint8Array; readonly next: Uint8Array; readonly dataKey: Uint8Array },
): Promise<void> {
  const opened = await wrapper.unwrap(of.next);
  if (!Buffer.from(opened).equals(of.dataKey))
    throw new GlasshouseError(
      "internal",
      `${wrapper.name} does not give back what it wrapped; the data key stays as it is.`,
    );
  await place.replace(of.wrapped, of.next);
}

function wrappedElsewhere(
  { place, wrapper, previous }: WrappedKeyOptions,
  wrapped: Uint8Array,
): GlasshouseError {
  const other = Buffer.from(wrapped).toString("latin1").startsWith("vault:")
    ? "a key of Vault"
    : "a key file";
  const named = previous === null ? wrapper.name : `${wrapper.name} or ${previous.name}`;
  return new GlasshouseError(
    "invalid-configuration",
    `The data key (${place.name}) is wrapped by ${other}, and not by ${named}. Name with security.key what wraps it; to change that, name the new one there and the one of before with security.previousKey.`,
  );
}
