import { BusClient } from "./bus-client.ts";
import { Rabbitmq, type RabbitmqOptions } from "./rabbitmq.ts";
import type { ServerOptions } from "./server.ts";
import { Site } from "./site.ts";

/** A broker, a server at it, and a client that listens to everything. */
export interface BusSite {
  readonly broker: Rabbitmq;
  readonly site: Site;
  readonly client: BusClient;
  close(): Promise<void>;
}

interface BusSiteOptions {
  readonly broker?: RabbitmqOptions;
  /** What the server connects to; the broker itself when left out. */
  readonly url?: (broker: Rabbitmq) => string | Promise<string>;
  /** What the client connects to, once the server is there; the broker itself when left out. */
  readonly clientUrl?: (broker: Rabbitmq) => Promise<string>;
  /** More variables of the server, once the broker is there. */
  readonly env?: (broker: Rabbitmq) => Readonly<Record<string, string>>;
}

export async function openBusSite(
  options: Omit<ServerOptions, "data"> = {},
  more: BusSiteOptions = {},
): Promise<BusSite> {
  const broker = await Rabbitmq.start(more.broker);
  try {
    const url = (await more.url?.(broker)) ?? broker.url;
    const env = { GLASSHOUSE_BUS_URL: url, ...options.env, ...more.env?.(broker) };
    const site = await Site.open({ ...options, env });
    const client = new BusClient((await more.clientUrl?.(broker)) ?? broker.urls);
    const close = async (): Promise<void> => {
      await site.close();
      client.connection.unsafeDestroy();
      await broker.close();
    };
    try {
      await client.listen();
      return { broker, site, client, close };
    } catch (error) {
      await close();
      throw error;
    }
  } catch (error) {
    await broker.close();
    throw error;
  }
}
