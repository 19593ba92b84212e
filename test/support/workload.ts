import { setTimeout as sleep } from "node:timers/promises";
import { between } from "./chaos.ts";
import type { Order, Sent } from "./publisher.ts";

/** Somewhere to send commands to. */
export interface Publisher {
  send(order: Order): Promise<Sent>;
}

export interface WorkloadOptions {
  readonly publisher: Publisher;
  /** Templates with a parameter `value`, of which each life of an environment takes one. */
  readonly templates: readonly string[];
  readonly environments: number;
  readonly random: () => number;
  /** Milliseconds that an environment's user waits between two commands. */
  readonly pauseMs: readonly [number, number];
}

/**
 * People who create, update and destroy environments, each their own, one command after the other without waiting for its
 * run. Their refusals are part of the load: they do not look before they ask.
 */
export class Workload {
  readonly #options: WorkloadOptions;
  readonly #users: readonly Promise<void>[];
  #over = false;
  #orders = 0;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#users = Array.from({ length: options.environments }, (_, at) => this.#use(`e${at}`));
  }

  /** Sends nothing more, and resolves when what was begun has its answer. */
  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#users);
  }

  async #use(name: string): Promise<void> {
    const { publisher, random, pauseMs } = this.#options;
    await publisher.send(this.#create(name));
    while (!this.#over) {
      await sleep(between(...pauseMs, random));
      const chance = random();
      if (chance < 0.7) await publisher.send(this.#update(name));
      else if (chance < 0.85) await publisher.send(this.#order("environment.destroy", name, {}));
      else await publisher.send(this.#create(name));
    }
  }

  #create(name: string): Order {
    const { templates, random } = this.#options;
    const template = templates[Math.floor(random() * templates.length)];
    const value = this.#value();
    return this.#order("environment.create", name, { name, template, parameters: { value } });
  }

  #update(name: string): Order {
    return this.#order("environment.update", name, { parameters: { value: this.#value() } });
  }

  #value(): string {
    return `v${this.#orders + 1}`;
  }

  #order(type: string, subject: string, data: Order["data"]): Order {
    this.#orders += 1;
    return { id: `${type}-${this.#orders}`, type, subject, data };
  }
}
