import { AsyncLocalStorage } from "node:async_hooks";
import { GlasshouseError } from "../../../domain/errors.ts";

interface Opened {
  readonly open: boolean;
}

const current = new AsyncLocalStorage<Opened>();

/** Runs `fn` as the inside of a transaction. */
export function within<T>(session: Opened, fn: () => Promise<T>): Promise<T> {
  return current.run(session, fn);
}

/** Throws inside of an open transaction: it would wait for itself for ever, or read beside its own writes. */
export function refuseInside(what: "transact" | "read" | "search" | "lease"): void {
  if (current.getStore()?.open !== true) return;
  throw new GlasshouseError(
    "internal",
    `store.${what} was called inside a transaction; use the tx that it was given.`,
  );
}
