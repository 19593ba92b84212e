import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { FileBlobs } from "../adapters/blobs/files/index.ts";
import {
  defaultKeyFile,
  openEmbeddedSecrets,
  openSharedSecrets,
} from "../adapters/secrets/embedded/index.ts";
import { createSqliteStore, lockDirectory } from "../adapters/stores/sqlite/index.ts";
import type { ClientCertificates } from "../clients/postgres/logins.ts";
import type { Remotes } from "../clients/resilience/remotes.ts";
import type { Config } from "../contract/config.ts";
import { GlasshouseError } from "../domain/errors.ts";
import type { BlobStore } from "../ports/blob.ts";
import type { Clock } from "../ports/clock.ts";
import type { ByteSealer, SecretSealer } from "../ports/secrets.ts";
import type { LastingStore } from "../ports/store.ts";
import type { Log, Metrics } from "../ports/telemetry.ts";
import { resolveReference } from "./config-grants.ts";
import { CertificateInUse } from "./certificate-in-use.ts";
import { certificateSource, type CertificateSource } from "./certificate-source.ts";
import type { CrashHooks } from "./crash-hooks.ts";
import { makeDataDirectory } from "./data-directory.ts";
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
  /** The one that PostgreSQL is shown. Closing the store closes it too. */
  readonly certificate: CertificateInUse | null;
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
  refuseForFiles(config);
  await makeDataDirectory(config.data);
  return config.store.url === "sqlite" ? openFiles(config, around) : openDatabase(config, around);
}

function refuseForFiles({ store }: Pick<Config, "store">): void {
  if (store.url !== "sqlite") return;
  const { certificate, key, issue } = store.tls;
  const given = Object.entries({
    "store.credentials": store.credentials,
    "store.tls.certificate": certificate,
    "store.tls.key": key,
    "store.tls.issue": issue,
  }).find(([, value]) => value !== undefined);
  if (given === undefined) return;
  throw new GlasshouseError(
    "invalid-configuration",
    `${given[0]} is for PostgreSQL, and state is kept in a file: set store.url, or leave it out.`,
  );
}

/**
 * The keys come before the database: a start that is cut off between the two finds keys without data and goes on, while
 * data without its keys is an error.
 */
async function openFiles(config: Config, around: Around): Promise<Lasting> {
  const { clock, log, crash } = around;
  const mayCreate = !(await readdir(config.data)).includes("glasshouse.db");
  const directory = join(config.data, "keys");
  // The first thing that is made in it: a directory that was there may take none.
  await makeDataDirectory(directory);
  const { key = defaultKeyFile(directory), ...choice } = keyChoice(config, around);
  const sealer = await openEmbeddedSecrets({ ...choice, directory, key, mayCreate });
  const store = await createSqliteStore({
    directory: config.data,
    clock,
    log,
    ...(crash.onCommit === null ? {} : { onCommit: crash.onCommit }),
  });
  try {
    const blobs = await FileBlobs.open(join(config.data, "blobs"), sealer);
    return { store, sealer, blobs, certificate: null };
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
    const certificate = await openStoreCertificate(config, around);
    const closed = (): void => {
      certificate?.close();
      lock.release();
    };
    try {
      const lasting = await openShared(config, { ...around, certificate });
      return { ...lasting, certificate, store: closingWith(lasting.store, closed) };
    } catch (error) {
      certificate?.close();
      throw error;
    }
  } catch (error) {
    lock.release();
    throw error;
  }
}

function closingWith(store: LastingStore, closed: () => void): LastingStore {
  return {
    transact: (fn, how) => store.transact(fn, how),
    read: (fn) => store.read(fn),
    search: (fn) => store.search(fn),
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

async function openShared(
  config: Config,
  around: Around & Pick<Lasting, "certificate">,
): Promise<Omit<Lasting, "certificate">> {
  const { crash, variables, vault, named, certificate, ...shared } = around;
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
    ...(certificate === null ? {} : { certificates: clientCertificates(certificate) }),
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

function clientCertificates(certificate: CertificateInUse): ClientCertificates {
  return { current: () => certificate.shown, watch: (fn) => certificate.watch(fn) };
}

/** The certificate that PostgreSQL is shown, kept up to date; null without one. */
async function openStoreCertificate(
  config: Config,
  around: Around,
): Promise<CertificateInUse | null> {
  const source = storeSource(config, around);
  if (source === null) return null;
  return CertificateInUse.open({ use: "store", key: "store.tls", source, ...around });
}

/** Where the certificate that PostgreSQL is shown comes from, or null. Errors: `invalid-configuration`. */
export function storeSource(
  { store }: Pick<Config, "store">,
  around: Pick<Around, "vault" | "clock" | "log">,
): CertificateSource | null {
  const { tls, url } = store;
  const user = /^[a-z]+:\/\/([^:@/]+)[:@]/u.exec(url)?.[1];
  // PostgreSQL takes it for the user that it names, unless a map of its own says otherwise.
  const commonName =
    tls.commonName ?? (user === undefined ? "glasshouse" : decodeURIComponent(user));
  return certificateSource({ key: "store.tls", tls, subject: { commonName }, ...around });
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
