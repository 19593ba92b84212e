import { SealedValue } from "./expression-cel.ts";
import { isSecretRef, isSecretText, isValueList } from "./value.ts";
import type { SecretRef, SecretText, Value } from "./value.ts";

export function isSealed(value: Value): value is SecretRef | SecretText {
  return isSecretRef(value) || isSecretText(value);
}

/**
 * A value as CEL sees it: whole numbers are ints, maps are `Map`s (so that no key is special), secrets are opaque.
 * With `doubles`, whole numbers stay doubles: for parameters that are declared as numbers.
 */
export function toCel(value: Value, doubles = false): unknown {
  if (typeof value === "number") {
    return Number.isSafeInteger(value) && !doubles ? BigInt(value) : value;
  }
  if (value === null || typeof value !== "object") return value;
  if (isSealed(value)) return new SealedValue(value);
  if (isValueList(value)) return value.map((item) => toCel(item, doubles));
  return new Map(Object.entries(value).map(([key, item]) => [key, toCel(item, doubles)]));
}

/** The largest result an expression may give, counted in values and in units of 64 characters. */
const maximumSize = 500_000;

/**
 * What an expression gave, as a value. Errors (plain, for the caller to name the expression): integers beyond ±2^53,
 * numbers that JSON does not have, types that are no JSON, results past the bound.
 */
export function fromCel(result: unknown): Value {
  return new Conversion().convert(result);
}

class Conversion {
  #left = maximumSize;

  convert(result: unknown): Value {
    this.#spend(1);
    if (result === null || typeof result === "boolean") return result;
    if (typeof result === "string") {
      this.#spend(result.length / 64);
      return result;
    }
    if (typeof result === "bigint") return safeInteger(result);
    if (typeof result === "number") return finite(result);
    if (result instanceof SealedValue) return result.secret;
    if (Array.isArray(result)) return result.map((item: unknown) => this.convert(item));
    if (result instanceof Map) return this.#members([...result]);
    if (typeof result === "object" && Object.getPrototypeOf(result) === Object.prototype) {
      return this.#members(Object.entries(result));
    }
    throw new Error(
      "it gives something that is not JSON: give a string, number, boolean, list or map",
    );
  }

  #members(entries: readonly (readonly [unknown, unknown])[]): Value {
    return Object.fromEntries(entries.map(([key, item]) => [String(key), this.convert(item)]));
  }

  #spend(units: number): void {
    this.#left -= units;
    if (this.#left < 0) throw new Error("its result is too large: make it smaller");
  }
}

function safeInteger(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) {
    throw new Error(
      `the integer ${value} is beyond ±9007199254740991: hand it on as text with string(…)`,
    );
  }
  return number;
}

function finite(value: number): number {
  if (!Number.isFinite(value))
    throw new Error(`it gives ${value}, which is no JSON number: check the division`);
  return value;
}
