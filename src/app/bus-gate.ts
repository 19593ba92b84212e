import { takeMessage } from "../api/bus/command.ts";
import { Relay } from "../engine/relay.ts";
import type { Bus } from "../ports/bus.ts";
import type { Clock } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";
import type { Log } from "../ports/telemetry.ts";
import { findCommand } from "../services/command.ts";
import type { Services } from "../services/deps.ts";
import type { Accept } from "./metered-accept.ts";

export interface BusGateParts {
  readonly bus: Bus;
  readonly store: Store;
  readonly clock: Clock;
  readonly services: Services;
  readonly accept: Accept;
  readonly log: Log;
}

/** Joins the bus to the service: its messages become commands, and the journal goes out over it. */
export class BusGate {
  readonly #parts: BusGateParts;
  readonly #relay: Relay | null;

  constructor(parts: BusGateParts) {
    this.#parts = parts;
    // Without a broker whoever wants to know reads the journal itself.
    this.#relay = parts.bus.kind === "embedded" ? null : new Relay(parts);
  }

  /** The last thing that a server starts: from here on commands come. */
  start(): void {
    const { bus, services, accept, clock, log } = this.#parts;
    this.#relay?.start();
    const api = {
      accept,
      find: (source: string, id: string) => findCommand(services, source, id),
      clock,
      log,
    };
    bus.consume((message) => takeMessage(api, message));
  }

  /** The first thing that a server stops: what was taken is answered, nothing more is taken. */
  async stopTaking(): Promise<void> {
    await this.#parts.bus.stopConsuming();
  }

  /** The last thing before the store: what steps had to say at their end is sent, or sent by the next start. */
  async close(): Promise<void> {
    await this.#relay?.stop();
    await this.#parts.bus.close();
  }
}
