import type { Tried, Trials } from "./chaos.ts";
import { Cluster } from "./cluster.ts";

interface Needed {
  readonly replicas: number;
  readonly of: Trials;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a cluster of its own for a fault, keeps its traces, and ends it. */
export async function withCluster(
  { replicas, of, env }: Needed,
  use: (cluster: Cluster) => Promise<Tried>,
): Promise<Tried> {
  const cluster = await Cluster.prepare({ replicas, env: env ?? {} });
  of.keep("ledger.json", async () => JSON.stringify(await cluster.ledger.entries(), null, 1));
  for (const replica of cluster.replicas) of.keep(`${replica.name}.log`, () => replica.output);
  try {
    await cluster.start();
    return await use(cluster);
  } finally {
    await cluster.close();
  }
}
