export { createSqliteStore, SqliteStore } from "./store.ts";
export type { SqliteStoreOptions } from "./store.ts";
export type { Retention } from "../sql/prune.ts";
