import { setTimeout as sleep } from "node:timers/promises";
import { without } from "../support/amqp-frames.ts";
import { BusListener, BusPublisher } from "../support/chaos-bus.ts";
import {
  between,
  faultTest,
  full,
  joined,
  oneOf,
  type Tried,
  type Trials,
} from "../support/chaos.ts";
import { judgeNotices, sharedBus, type Bus } from "../support/chaos-broker.ts";
import { startLoad, type Load } from "../support/chaos-load.ts";
import { sharedStore, withCluster } from "../support/chaos-servers.ts";
import type { Cluster } from "../support/cluster.ts";
import { postgresSkip } from "../support/postgres.ts";
import { rabbitmqSkip } from "../support/rabbitmq.ts";

const skip = postgresSkip === false ? rabbitmqSkip : postgresSkip;

faultTest(
  {
    id: "F9",
    fault: "RabbitMQ is stopped or killed, and started again",
    mechanism: "confirms, acknowledgement after the commit, outbox",
    trials: { short: 4, long: 100 },
    skip,
  },
  (of) =>
    underLoad(of, async ({ bus }) => {
      for (let stops = 0; stops < of.trials; stops += 1) {
        await sleep(between(500, 2_000, of.random));
        await oneOf([() => bus.broker.stop(), () => bus.broker.kill()], of.random)();
        await sleep(between(0, full ? 60_000 : 3_000, of.random));
        await bus.broker.start();
      }
      return of.trials;
    }),
);

faultTest(
  {
    id: "F15",
    fault: "confirms of the broker are lost on the way",
    mechanism: "what is not confirmed in time is sent again",
    trials: { short: 3, long: 100 },
    skip,
  },
  (of) =>
    underLoad(of, async ({ cluster }) => {
      let lost = false;
      cluster.busProxy?.see(
        "toClient",
        without(["ack", "nack"], () => lost),
      );
      // Connections that were there before have no lens.
      cluster.busProxy?.cut();
      for (let losses = 0; losses < of.trials; losses += 1) {
        await sleep(between(500, 1_500, of.random));
        lost = true;
        await sleep(between(200, 3_000, of.random));
        lost = false;
      }
      return of.trials;
    }),
);

interface Scene {
  readonly cluster: Cluster;
  readonly bus: Bus;
  readonly load: Load;
}

/** Two replicas, people who order over the bus, somebody who listens to everything, and something bad meanwhile. */
async function underLoad(of: Trials, bad: (scene: Scene) => Promise<number>): Promise<Tried> {
  const bus = await sharedBus();
  return withCluster({ replicas: 2, of, store: await sharedStore(), bus }, async (cluster) => {
    const publisher = new BusPublisher({ url: bus.direct, source: "load" });
    const listener = new BusListener(bus.direct);
    try {
      await listener.ready();
      const load = await startLoad(cluster, of, { publisher });
      const trials = await bad({ cluster, bus, load });
      const findings = joined(await load.finish(), await judgeNotices(cluster, listener));
      const words = `${publisher.log.length} commands, ${listener.received} notices, ${listener.repeated} of them repeated`;
      return { findings, trials, words };
    } finally {
      await publisher.close();
      await listener.close();
    }
  });
}
