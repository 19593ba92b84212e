import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "../../../testing/fake-clock.ts";
import type { Log } from "../../../ports/telemetry.ts";
import { createSqliteStore } from "./index.ts";
import type { SqliteStore, SqliteStoreOptions } from "./index.ts";

/** A log that keeps nothing. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};

export function entry(n: number) {
  const plain = { time: "", actor: "a", action: "b", subject: "c", commandId: null };
  return { ...plain, id: `a${n}`, detail: n };
}

export function open(options: Partial<SqliteStoreOptions> & { readonly directory: string }) {
  return createSqliteStore({ clock: new FakeClock(), log: silentLog, ...options });
}

export async function withStore(
  options: Partial<SqliteStoreOptions>,
  fn: (store: SqliteStore) => Promise<void>,
): Promise<void> {
  await inDirectory(async (directory) => {
    const store = await open({ ...options, directory });
    try {
      await fn(store);
    } finally {
      await store.close();
    }
  });
}

export async function inDirectory(fn: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "glasshouse-sqlite-"));
  try {
    await fn(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
