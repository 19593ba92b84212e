import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../../ports/telemetry.ts";
import { Connection } from "./connection.ts";
import { ConnectionLost, faultKind, wordsOf } from "./errors.ts";
import type { ChangingUrl, Target } from "./target.ts";

const pauseMs = 500;

/**
 * Opens connections to whichever of the hosts takes writes, beginning with the one that did last: after a failover the next
 * connection goes to the new primary. Which hosts there are is asked for each connection.
 */
export class Hosts {
  #targets: () => readonly Target[];
  readonly #log: Log;
  /** The name of the target that took writes last. */
  #best: string | null = null;

  /** `targets` may throw `ConnectionLost` while there are none. */
  constructor(targets: () => readonly Target[], log: Log) {
    this.#targets = targets;
    this.#log = log;
  }

  /** The host that took writes last, for people. */
  get name(): string {
    return this.#best ?? "";
  }

  /** From now on connections are opened like this: the same hosts, perhaps as another user. */
  use(targets: () => readonly Target[]): void {
    this.#targets = targets;
  }

  /** Errors: `ConnectionLost` naming every host and why not, or a server's own refusal. */
  async open(): Promise<Connection> {
    const faults: { readonly name: string; readonly error: unknown }[] = [];
    for (const target of this.#inTurn()) {
      try {
        const connection = await openPrimary(target);
        this.#best = target.name;
        return connection;
      } catch (error) {
        faults.push({ name: target.name, error });
      }
    }
    const [first, ...more] = faults;
    if (more.length === 0) throw first?.error;
    throw new ConnectionLost(
      new Error(faults.map(({ name, error }) => `${name}: ${wordsOf(error)}`).join("; ")),
    );
  }

  #inTurn(): readonly Target[] {
    const targets = this.#targets();
    const best = Math.max(
      0,
      targets.findIndex(({ name }) => name === this.#best),
    );
    return [...targets.slice(best), ...targets.slice(0, best)];
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

/** The targets of a URL, read once, or again when it is another. Errors: `ConnectionLost` while no host is known. */
export function targetSource(
  url: string | ChangingUrl,
  targetsOfUrl: (url: string) => readonly Target[],
): () => readonly Target[] {
  let known: { readonly url: string; readonly targets: readonly Target[] } | null = null;
  return () => {
    const now = typeof url === "string" ? url : url.now();
    if (now === null)
      throw new ConnectionLost(
        new Error(typeof url === "string" ? "no host is known" : `no host of ${url.name} is known`),
      );
    if (known?.url !== now) known = { url: now, targets: targetsOfUrl(now) };
    return known.targets;
  };
}
