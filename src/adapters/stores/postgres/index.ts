export { sharedDataKey } from "./data-key.ts";
export { createPostgresStore, PostgresStore } from "./store.ts";
export type { PostgresStoreOptions } from "./store.ts";
