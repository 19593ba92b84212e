import type { Findings, Trials } from "./chaos.ts";
import type { Cluster } from "./cluster.ts";
import { judge } from "./cluster-judge.ts";
import { RestPublisher, type Sent } from "./publisher.ts";
import { Workload, type Publisher } from "./workload.ts";

const groups = 3;

/** A way in, with its own log of what was answered. */
export interface LoggingPublisher extends Publisher {
  readonly log: readonly Sent[];
}

export interface Load {
  readonly publisher: LoggingPublisher;
  /** Ends the load and judges what became of it, when every replica runs. */
  finish(): Promise<Findings>;
}

interface LoadOptions {
  readonly environments?: number;
  /** REST at whichever replica runs, unless given. */
  readonly publisher?: LoggingPublisher;
}

/** People with their environments, while something bad happens. */
export async function startLoad(
  cluster: Cluster,
  { random, keep }: Trials,
  { environments = 8, publisher: given }: LoadOptions = {},
): Promise<Load> {
  await cluster.register({ name: "watched", groups, width: 2, valued: true, holdSeconds: 0.1 });
  const servers = (): Cluster["living"] => cluster.living;
  const publisher = given ?? new RestPublisher({ source: "load", servers, random });
  keep("commands.json", () => JSON.stringify(publisher.log, null, 1));
  const workload = new Workload({
    publisher,
    templates: ["watched"],
    environments,
    random,
    pauseMs: [200, 1_500],
  });
  return {
    publisher,
    finish: async () => {
      await workload.end();
      return judge(cluster, { sent: publisher.log, groups });
    },
  };
}
