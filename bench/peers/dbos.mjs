import { DBOS } from "@dbos-inc/dbos-sdk";

/** DBOS: a workflow of recorded steps. Runs are started directly, as its documentation does; `start` goes through a queue. */
export async function open(url) {
  /** Called when a run's first step is entered. */
  let entered;
  const times = [];
  const chain = DBOS.registerWorkflow(
    async (steps) => {
      for (let at = 0; at < steps; at += 1) {
        await DBOS.runStep(async () => {
          times.push(performance.now());
          if (at === 0) entered?.();
        });
      }
    },
    { name: "chain" },
  );
  DBOS.setConfig({
    name: "bench",
    systemDatabaseUrl: url,
    logLevel: "error",
    systemDatabasePoolSize: 20,
  });
  await DBOS.launch();
  await DBOS.registerQueue("starts", { minPollingIntervalMs: 1 });
  return {
    times,
    run: async (steps) => {
      const handle = await DBOS.startWorkflow(chain)(steps);
      await handle.getResult();
    },
    start: async () => {
      const started = new Promise((resolve) => {
        entered = () => resolve(performance.now());
      });
      const from = performance.now();
      const handle = await DBOS.startWorkflow(chain, { queueName: "starts" })(1);
      const tookMs = (await started) - from;
      await handle.getResult();
      return tookMs;
    },
    close: () => DBOS.shutdown(),
  };
}
