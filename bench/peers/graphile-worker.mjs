import { Logger, makeWorkerUtils, run as startRunner } from "graphile-worker";

/** graphile-worker has no graphs: a step's job adds the next one, as its users do. */
export async function open(url) {
  const times = [];
  const ends = new Map();
  /** Called when a run's first step is entered. */
  let entered;
  const logger = new Logger(() => () => undefined);
  const runner = await startRunner({
    connectionString: url,
    concurrency: 64,
    maxPoolSize: 20,
    pollInterval: 1_000,
    noHandleSignals: true,
    logger,
    taskList: {
      step: async ({ run, at, steps }, helpers) => {
        times.push(performance.now());
        if (at === 0) entered?.();
        if (at + 1 < steps) await helpers.addJob("step", { run, at: at + 1, steps });
        else ends.get(run)?.();
      },
    },
  });
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  let count = 0;
  const begin = async (steps) => {
    count += 1;
    const run = count;
    const ended = new Promise((resolve) => {
      ends.set(run, resolve);
    });
    await utils.addJob("step", { run, at: 0, steps });
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
    close: async () => {
      await utils.release();
      await runner.stop();
    },
  };
}
