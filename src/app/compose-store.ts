import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { FileBlobs } from "../adapters/blobs/files/index.ts";
import {
  defaultKeyFile,
  openEmbeddedSecrets,
  openSharedSecrets,
} from "../adapters/secrets/embedded/index.ts";
import { createSqliteStore, lockDirectory } from "../adapters/stores/sqlite/index.ts";
import type { Remotes } from "../clients/resilience/remotes.ts";
import type { Config } from "../contract/config.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { BlobStore } from "../ports/blob.ts";
import type { Clock } from "../ports/clock.ts";
import type { ByteSealer, SecretSealer } from "../ports/secrets.ts";
import type { LastingStore } from "../ports/store.ts";
import type { Log, Metrics } from "../ports/telemetry.ts";
import { resolveReference } from "./config-grants.ts";
import type { CrashHooks } from "./crash-hooks.ts";
import { leasedUsers, type LeasedUsers } from "./leased-users.ts";
import type { NamedServices } from "./service-address.ts";
import { keyChoice } from "./sealing-key.ts";
import type { VaultParts } from "./vault.ts";

/** Everything that lasts, and the key to what of it is sealed. */
export interface Lasting {
  /** Closing it closes the blobs too. */
  readonly store: LastingStore;
  readonly blobs: BlobStore;
  readonly sealer: SecretSealer & ByteSealer;
}

interface Around {
  readonly clock: Clock;
  readonly log: Log;
  readonly crash: Pick<CrashHooks, "onCommit">;
  readonly metrics: Metrics;
  readonly remotes: Remotes;
  readonly variables: Variables;
  readonly vault: VaultParts | null;
  readonly named: NamedServices;
}

type Variables = Readonly<Record<string, string | undefined>>;

/** Opens what `store.url` names. Errors: those of the store (in use, newer, damaged, not there), of the keys, and `invalid-configuration`. */
export async function openStore(config: Config, around: Around): Promise<Lasting> {
  if (config.store.url === "sqlite" && config.store.credentials !== undefined)
    throw new GlasshouseError(
      "invalid-configuration",
      "store.credentials is for users of PostgreSQL, and state is kept in a file: set store.url, or leave it out.",
    );
  await mkdir(config.data, { recursive: true, mode: 0o700 });
  return config.store.url === "sqlite" ? openFiles(config, around) : openDatabase(config, around);
}

/**
 * The keys come before the database: a start that is cut off between the two finds keys without data and goes on, while
 * data without its keys is an error.
 */
async function openFiles(config: Config, around: Around): Promise<Lasting> {
  const { clock, log, crash } = around;
  const mayCreate = !(await readdir(config.data)).includes("glasshouse.db");
  const directory = join(config.data, "keys");
  const { key = defaultKeyFile(directory), ...choice } = keyChoice(config, around);
  const sealer = await openEmbeddedSecrets({ ...choice, directory, key, mayCreate });
  const store = await createSqliteStore({
    directory: config.data,
    clock,
    log,
    ...(crash.onCommit === null ? {} : { onCommit: crash.onCommit }),
  });
  try {
    return { store, sealer, blobs: await FileBlobs.open(join(config.data, "blobs"), sealer) };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/**
 * Replicas share all of it; what one of them has in its data directory is a cache, but its own: two that worked on one group
 * in one directory would be two writers. So that is held as a file of SQLite's would be.
 */
async function openDatabase(config: Config, around: Around): Promise<Lasting> {
  const lock = await lockDirectory(config.data);
  try {
    const lasting = await openShared(config, around);
    return { ...lasting, store: closingWith(lasting.store, () => lock.release()) };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function closingWith(store: LastingStore, closed: () => void): LastingStore {
  return {
    transact: (fn, how) => store.transact(fn, how),
    read: (fn) => store.read(fn),
    watch: (topic, fn) => store.watch(topic, fn),
    lease: (worker) => store.lease(worker),
    health: () => store.health(),
    prune: (retention) => store.prune(retention),
    close: async () => {
      await store.close();
      closed();
    },
  };
}

async function openShared(config: Config, around: Around): Promise<Lasting> {
  const { crash, variables, vault, named, ...shared } = around;
  const users = databaseUsers(config, vault);
  const database = await databaseOf(config, variables);
  const changing = await named.changingUrl("store.url", database.url);
  // Whoever keeps state in a file need not load it.
  const [{ createPostgresStore, sharedDataKey }, { PostgresBlobs }] = await Promise.all([
    import("../adapters/stores/postgres/index.ts"),
    import("../adapters/blobs/postgres/index.ts"),
  ]);
  const store = await createPostgresStore({
    ...database,
    ...(changing === null ? {} : { url: changing }),
    ...shared,
    ...(users === null ? {} : { logins: users }),
    limits: { pool: config.store.pool, leaseMs: config.engine.leaseMs },
    ...(crash.onCommit === null ? {} : { onCommit: crash.onCommit }),
  });
  try {
    const choice = keyChoice(config, around);
    const sealer = await openSharedSecrets(choice, sharedDataKey(store.files));
    return { store, sealer, blobs: new PostgresBlobs(store.files, sealer) };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The users that `store.credentials` stands for, or null. Errors: `invalid-configuration`. */
export function databaseUsers(
  { store }: Pick<Config, "store">,
  vault: VaultParts | null,
): LeasedUsers | null {
  const { credentials: reference, password } = store;
  if (reference === undefined) return null;
  const others = { "store.password": password };
  return leasedUsers({ key: "store.credentials", reference, others, vault });
}

/** Where the database is and how to get in, with what the configuration refers to looked up. Errors: `invalid-configuration`. */
export async function databaseOf(
  { store }: Pick<Config, "store">,
  variables: Variables,
): Promise<{
  readonly url: string;
  readonly password: string | undefined;
  readonly caFile: string | undefined;
}> {
  const { url, password, tls } = store;
  const given =
    password === undefined
      ? undefined
      : await resolveReference("store.password", password, variables);
  return { url, password: given, caFile: tls.ca };
}
