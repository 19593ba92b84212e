import type { Tried, Trials } from "./chaos.ts";
import { sharedPostgres } from "./chaos-postgres.ts";
import { Cluster, type Upstream } from "./cluster.ts";
import { postgresDump } from "./dump.ts";
import type { TestPostgres } from "./postgres.ts";

interface Needed {
  readonly replicas: number;
  readonly of: Trials;
  readonly env?: Readonly<Record<string, string>>;
  /** Without one the replica stands on SQLite. */
  readonly store?: Upstream;
  readonly bus?: Upstream;
}

/** Starts a cluster of its own for a fault, keeps its traces, and ends it. */
export async function withCluster(
  { replicas, of, env = {}, store, bus }: Needed,
  use: (cluster: Cluster) => Promise<Tried>,
): Promise<Tried> {
  const cluster = await Cluster.prepare({
    replicas,
    env,
    ...(store === undefined ? {} : { store }),
    ...(bus === undefined ? {} : { bus }),
  });
  of.keep("ledger.json", async () => JSON.stringify(await cluster.ledger.entries(), null, 1));
  if (store?.dump !== undefined) of.keep("store.txt", store.dump);
  for (const replica of cluster.replicas) of.keep(`${replica.name}.log`, () => replica.output);
  try {
    await cluster.start();
    return await use(cluster);
  } finally {
    await of.gather();
    await cluster.close();
  }
}

/** A database of its own on the PostgreSQL that the file shares. */
export async function sharedStore(): Promise<Upstream> {
  const postgres = await sharedPostgres();
  return storeOf(postgres.server, await postgres.database());
}

/** How a cluster reaches a database. */
export function storeOf(server: TestPostgres, database: string): Upstream {
  return {
    port: server.port,
    url: (port) => server.url(database).replace(`:${server.port}/`, `:${port}/`),
    dump: async () => {
      const tables = await postgresDump(server, database).catch(() => new Map<string, string>());
      return [...tables].map(([table, rows]) => `--- ${table}\n${rows}`).join("\n");
    },
  };
}
