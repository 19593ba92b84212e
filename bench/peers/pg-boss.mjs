import { PgBoss } from "pg-boss";

/**
 * pg-boss, with NOTIFY to wake its workers. A step's job sends the next one: its own graphs of jobs (`flow()`) release what
 * waits on an interval of at least a second, which no chain of quick steps would want.
 */
export async function open(url) {
  const times = [];
  const ends = new Map();
  /** Called when a run's first step is entered. */
  let entered;
  const boss = new PgBoss({ connectionString: url, max: 20, useListenNotify: true });
  boss.on("error", () => undefined);
  await boss.start();
  await boss.createQueue("step", { notify: true });
  await boss.work(
    "step",
    {
      localConcurrency: 64,
      batchSize: 1,
      pollingIntervalSeconds: 0.5,
      notifyPollingIntervalSeconds: 0.5,
    },
    async (jobs) => {
      for (const { data } of jobs) {
        times.push(performance.now());
        if (data.at === 0) entered?.();
        if (data.at + 1 < data.steps) await boss.send("step", { ...data, at: data.at + 1 });
        else ends.get(data.run)?.();
      }
    },
  );
  let count = 0;
  const begin = async (steps) => {
    count += 1;
    const run = count;
    const ended = new Promise((resolve) => {
      ends.set(run, resolve);
    });
    await boss.send("step", { run, at: 0, steps });
    return { ended };
  };
  return {
    times,
    run: async (steps) => {
      const { ended } = await begin(steps);
      await ended;
    },
    start: async () => {
      const started = new Promise((resolve) => {
        entered = () => resolve(performance.now());
      });
      const from = performance.now();
      await begin(1);
      return (await started) - from;
    },
    close: () => boss.stop({ graceful: false }),
  };
}
