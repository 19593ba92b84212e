export { createPostgresStore, PostgresStore } from "./store.ts";
export type { PostgresStoreOptions } from "./store.ts";
export { isPostgresUrl } from "./target.ts";
