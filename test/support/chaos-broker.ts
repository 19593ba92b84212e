import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { nothingFound, type Findings } from "./chaos.ts";
import type { BusListener } from "./chaos-bus.ts";
import type { Cluster, Upstream } from "./cluster.ts";
import { environmentsOf } from "./cluster-judge.ts";
import { Rabbitmq } from "./rabbitmq.ts";

let starting: Promise<Rabbitmq> | null = null;
let hosts = 0;

/** The file's own broker, started when it is first asked for, ended after the file's tests. */
export function sharedBroker(): Promise<Rabbitmq> {
  starting ??= Rabbitmq.start();
  return starting;
}

after(async () => {
  await starting?.then(
    (broker) => broker.close(),
    () => undefined,
  );
});

export interface Bus extends Upstream {
  readonly broker: Rabbitmq;
  /** Where the test's own clients connect to, not through the cluster's proxy. */
  readonly direct: string;
  /** Name of the virtual host. */
  readonly host: string;
}

/** A virtual host of its own on the file's broker. */
export async function sharedBus(): Promise<Bus> {
  const broker = await sharedBroker();
  hosts += 1;
  const host = `chaos${hosts}`;
  await broker.control(["add_vhost", host]);
  await broker.control(["set_permissions", "-p", host, "guest", ".*", ".*", ".*"]);
  const url = (port: number): string => `amqp://guest:guest@127.0.0.1:${port}/${host}`;
  const port = broker.portOf(0);
  return { broker, host, port, url, direct: url(port) };
}

const arriveMs = 60_000;

/** Waits until everything that the journal tells of environments has been heard; what was not, or not in order. */
export async function judgeNotices(cluster: Cluster, listener: BusListener): Promise<Findings> {
  const deadline = performance.now() + arriveMs;
  for (;;) {
    const environments = await environmentsOf(cluster.any);
    const lost = environments.flatMap(({ id, name, sequence }) => {
      const heard = listener.last.get(id) ?? 0;
      return heard === sequence ? [] : [`${name} (${id}): heard up to ${heard} of ${sequence}`];
    });
    if (lost.length === 0 || performance.now() > deadline)
      return { ...nothingFound, lost, broken: listener.gaps };
    await sleep(200);
  }
}
