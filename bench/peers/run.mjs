/**
 * `node run.mjs <peer> <workload> <database URL> <numbers…>`: runs one workload on one peer and prints its result as JSON.
 * Workloads: `runs <runs> <steps> <in flight> <seconds>` → { runs, seconds }, begins none after so long; `chain <steps>` → { hopMs }; `start <times>` → { startMs }.
 */
const [peer, workload, url, ...numbers] = process.argv.slice(2);
const counts = numbers.map(Number);
const { open } = await import(`./${peer}.mjs`);
const engine = await open(url);

const workloads = {
  async runs([runs, steps, inFlight, mostSeconds]) {
    await engine.run(steps);
    const begun = performance.now();
    let next = 0;
    const isOver = () => next >= runs || performance.now() - begun > mostSeconds * 1_000;
    const feed = async () => {
      while (!isOver()) {
        next += 1;
        await engine.run(steps);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, feed));
    return { runs: next, seconds: (performance.now() - begun) / 1_000 };
  },
  async chain([steps]) {
    await engine.run(5);
    engine.times.length = 0;
    await engine.run(steps);
    const { times } = engine;
    return { hopMs: (times.at(-1) - times[0]) / (times.length - 1) };
  },
  async start([times]) {
    const took = [];
    for (let at = 0; at < times + 5; at += 1) {
      took.push(await engine.start());
      // Idle between, as an environment is ordered now and then.
      await new Promise((resolve) => setTimeout(resolve, 40));
    }
    return { startMs: took.slice(5) };
  },
};

const result = await workloads[workload](counts);
await engine.close();
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
