import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../../ports/telemetry.ts";
import { Connection } from "./connection.ts";
import { ConnectionLost, faultKind, wordsOf } from "./errors.ts";
import type { Target } from "./target.ts";

const pauseMs = 500;

/**
 * Opens connections to whichever of the hosts takes writes, beginning with the one that did last: after a failover the next
 * connection goes to the new primary.
 */
export class Hosts {
  #targets: readonly Target[];
  readonly #log: Log;
  #best = 0;

  constructor(targets: readonly Target[], log: Log) {
    this.#targets = targets;
    this.#log = log;
  }

  /** The host that took writes last, for people. */
  get name(): string {
    return this.#targets[this.#best]?.name ?? "";
  }

  /** From now on connections are opened like this: the same hosts, perhaps as another user. */
  use(targets: readonly Target[]): void {
    this.#targets = targets;
  }

  /** Errors: `ConnectionLost` naming every host and why not, or a server's own refusal. */
  async open(): Promise<Connection> {
    const faults: unknown[] = [];
    for (let n = 0; n < this.#targets.length; n += 1) {
      const index = (this.#best + n) % this.#targets.length;
      const target = this.#targets[index];
      if (target === undefined) continue;
      try {
        const connection = await openPrimary(target);
        this.#best = index;
        return connection;
      } catch (error) {
        faults.push(error);
      }
    }
    const [first, ...more] = faults;
    if (more.length === 0) throw first;
    throw new ConnectionLost(
      new Error(
        this.#targets.map(({ name }, n) => `${name}: ${wordsOf(at(faults, n))}`).join("; "),
      ),
    );
  }

  /** As `open`, but waits so long for a server to come. */
  async openWithin(limitMs: number): Promise<Connection> {
    const deadline = performance.now() + limitMs;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.open();
      } catch (error) {
        if (faultKind(error) !== "lost" || performance.now() > deadline) throw error;
        if (tries === 1) this.#log.warn("PostgreSQL is not there yet; waiting for it", { error });
        await sleep(pauseMs);
      }
    }
  }
}

async function openPrimary(target: Target): Promise<Connection> {
  const connection = await Connection.open(target);
  const { rows } = await connection.query<{ readonly standby: boolean }>(
    `select pg_is_in_recovery() as "standby"`,
  );
  if (rows[0]?.standby !== true) return connection;
  await connection.end();
  throw new ConnectionLost(new Error(`${target.name} is a standby: it takes no writes`));
}

function at(faults: readonly unknown[], n: number): unknown {
  return faults[n];
}
