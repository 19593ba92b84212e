import { AsyncLocalStorage } from "node:async_hooks";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { SqliteSession } from "./session.ts";

const current = new AsyncLocalStorage<SqliteSession>();

/** Runs `fn` as the inside of a transaction. */
export function within<T>(session: SqliteSession, fn: () => Promise<T>): Promise<T> {
  return current.run(session, fn);
}

/** Throws inside of an open transaction: it would wait for itself for ever, or read beside its own writes. */
export function refuseInside(what: "transact" | "read" | "lease"): void {
  if (current.getStore()?.open !== true) return;
  throw new GlasshouseError(
    "internal",
    `store.${what} was called inside a transaction; use the tx that it was given.`,
  );
}
