import { readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { faultTest, joined, nothingFound } from "../support/chaos.ts";
import { sharedStore, storeOf, withCluster } from "../support/chaos-servers.ts";
import { judge } from "../support/cluster-judge.ts";
import { journalOf } from "../support/crash-judge.ts";
import { postgresSkip, TestPostgres } from "../support/postgres.ts";
import { RestPublisher } from "../support/publisher.ts";

const stopSeconds = 30;

faultTest(
  {
    id: "F17",
    fault: `PostgreSQL is away for ${stopSeconds} s in the middle of steps that take longer`,
    mechanism: "children outlive the lease for a while",
    trials: { short: 1, long: 5 },
    skip: postgresSkip,
  },
  async (of) => {
    const postgres = await TestPostgres.start({ fsync: true });
    try {
      const store = storeOf(postgres, await postgres.createDatabase());
      return await withCluster({ replicas: 2, of, store }, async (cluster) => {
        const groups = 4;
        await cluster.register({
          name: "slow",
          groups,
          width: 4,
          holdSeconds: 20,
          lingerSeconds: 20,
        });
        const publisher = new RestPublisher({
          source: "slow",
          servers: () => cluster.living,
          random: of.random,
        });
        let findings = nothingFound;
        for (let stops = 0; stops < of.trials; stops += 1) {
          const name = `slow${stops}`;
          const data = { name, template: "slow" };
          const { run } = await publisher.send({
            id: name,
            type: "environment.create",
            subject: name,
            data,
          });
          await sleep(3_000);
          await postgres.stop("fast");
          await sleep(stopSeconds * 1_000);
          await postgres.start();
          await cluster.reading();
          await cluster.any.settled(run ?? "", 90_000);
          const disturbed = (await journalOf(cluster.any, name)).filter(({ type }) =>
            ["step.unknown", "step.retrying", "step.failed"].includes(type),
          );
          const broken = disturbed.map(({ type, stepid }) => `${name}: ${type} of ${stepid}`);
          findings = joined(findings, { ...nothingFound, broken });
        }
        findings = joined(findings, await judge(cluster, { sent: publisher.log, groups }));
        return {
          findings,
          trials: of.trials,
          words: `${of.trials * groups} steps, none disturbed`,
        };
      });
    } finally {
      await postgres.remove();
    }
  },
);

const leaseSeconds = 3;
/** What a command may take to stop, the time that children outlive a lease, and the takeover's margin: then others may go on. */
const takenWithinMs = (leaseSeconds + 60 + 15 + 2 + 30) * 1_000;
const steps = 6;
/** Fewer than steps: one replica alone cannot take them all, so the one that is stopped has some. */
const places = 4;

faultTest(
  {
    id: "F6",
    fault: "the owner of running steps is stopped (SIGSTOP) past its lease, and goes on (SIGCONT)",
    mechanism: "children end with the lease, late writes are refused",
    trials: { short: 1, long: 20 },
    skip: postgresSkip,
  },
  async (of) => {
    const env = {
      GLASSHOUSE_ENGINE_LEASE: `${leaseSeconds}s`,
      GLASSHOUSE_ENGINE_PLACES: String(places),
    };
    return withCluster({ replicas: 2, of, env, store: await sharedStore() }, async (cluster) => {
      const [paused, other] = cluster.replicas;
      if (paused === undefined || other === undefined) throw new Error("two replicas are needed");
      await cluster.register({ name: "slow", groups: 1, width: 1, holdSeconds: 8 });
      const servers = (): typeof cluster.living => (other.server === null ? [] : [other.server]);
      const publisher = new RestPublisher({ source: "f6", servers, random: of.random });
      let refused = 0;
      const broken: string[] = [];
      for (let pauses = 0; pauses < of.trials; pauses += 1) {
        const names = Array.from({ length: steps }, (_, at) => `p${pauses}-${at}`);
        const runs = await Promise.all(
          names.map(async (name) => {
            const data = { name, template: "slow" };
            return publisher.send({ id: name, type: "environment.create", subject: name, data });
          }),
        );
        // Long enough for all to have begun, not for one to have ended.
        await sleep(4_000);
        paused.pause();
        await sleep((leaseSeconds + 15 + 8) * 1_000);
        const alive = await childrenOf(paused.data);
        broken.push(...alive.map((line) => `past its lease it still runs ${line}`));
        for (const { run } of runs) await other.server?.settled(run ?? "", takenWithinMs);
        paused.resume();
        await sleep(3_000);
        const now = paused.output.split("A late write was refused").length - 1;
        if (now === refused)
          broken.push("no late write was refused: it had no step, or wrote none");
        refused = now;
      }
      const findings = await judge(cluster, { sent: publisher.log, groups: 1 });
      return {
        findings: joined(findings, { ...nothingFound, broken }),
        trials: of.trials,
        words: `${refused} late writes refused`,
      };
    });
  },
);

/** Command lines of programs that work below a replica's data. */
async function childrenOf(data: string): Promise<readonly string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/u.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const folder = await readlink(`/proc/${pid}/cwd`).catch(() => "");
      if (!folder.startsWith(data)) return "";
      return readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    }),
  );
  return found.filter((line) => line !== "").map((line) => line.replaceAll("\0", " "));
}
