declare const content: unique symbol;

/**
 * JSON in a text column, with the type of what it holds. Every such text was written by `toJson`, so what comes back is
 * what went in: the one place where a store trusts a type instead of parsing it.
 */
export type JsonText<T> = string & { readonly [content]?: T };

export function toJson<T>(value: T): JsonText<T> {
  return JSON.stringify(value);
}

/** For patches: a member that is not named stays as it is. */
export function toJsonIfGiven<T>(value: T | undefined): JsonText<T> | undefined {
  return value === undefined ? undefined : JSON.stringify(value);
}

export function fromJson<T>(text: JsonText<T>): T {
  const value: T = JSON.parse(text);
  return value;
}
