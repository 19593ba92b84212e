import type { Log } from "../../../ports/telemetry.ts";
import type { Connection } from "../../../clients/postgres/connection.ts";
import { refusedAsClosed } from "./writer.ts";

export interface NumbererDeps {
  /** Says to the others who it was. */
  readonly instance: string;
  readonly open: () => Promise<Connection>;
  readonly log: Log;
  /** Called after events got their positions. */
  readonly numbered: () => void;
}

const atOnce = 1_000;
const pauseMs = 500;
/**
 * Each time costs a commit of its own. What is committed so soon after the first is given its place with it: mostly it is what
 * that commit led to, a command's run and its first step, and this would stand in its way.
 */
const gatherMs = 4;
/** While events keep coming, those of so long are given their places together. */
const restMs = 10;
const numberEvents = `select "numberEvents"(?, ?) as "count"`;

/**
 * Gives positions to events that have been committed. Every process does that for what it has committed, one at a time in
 * the database (migration 0003 says how), and looks now and then for what a process that died has left.
 */
export class Numberer {
  readonly #deps: NumbererDeps;
  #connection: Connection | null = null;
  #working: Promise<void> | null = null;
  #again = false;
  #settling: Promise<void> | null = null;
  #isClosed = false;
  #rest: NodeJS.Timeout | null = null;
  #endedAtMs = Number.NEGATIVE_INFINITY;

  constructor(deps: NumbererDeps) {
    this.#deps = deps;
  }

  /** There is, or may be, something to number. Calls while it works make it look once more. */
  poke(): void {
    this.#again = true;
    if (this.#isClosed || this.#rest !== null || this.#working !== null) return;
    const waitMs = Math.max(gatherMs, this.#endedAtMs + restMs - performance.now());
    this.#rest = setTimeout(() => {
      this.#rest = null;
      // Whoever could not wait is at it.
      if (this.#working === null) void this.#during(this.#work());
    }, waitMs);
    this.#rest.unref();
  }

  /** Resolves once every event that was committed before the call has its position. Errors: those of the database. */
  settle(): Promise<void> {
    this.#settling ??= this.#settle();
    return this.#settling;
  }

  /** The next work is over a new connection. */
  async renew(): Promise<void> {
    const before = this.#connection;
    this.#connection = null;
    await this.#working;
    await before?.end();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#working;
    if (this.#rest !== null) clearTimeout(this.#rest);
    if (this.#again) await this.#work();
    await this.#connection?.end();
  }

  /** Those who ask before it begins are served by one. */
  async #settle(): Promise<void> {
    // Not in the turn of the first who asks: what is asked for is known to the others by then.
    do await this.#working;
    while (this.#working !== null);
    this.#settling = null;
    if (this.#isClosed) throw refusedAsClosed();
    await this.#during(this.#numberAll());
  }

  /** One works at a time. */
  #during(work: Promise<void>): Promise<void> {
    this.#working = work
      .catch(() => {})
      .finally(() => {
        this.#working = null;
        this.#endedAtMs = performance.now();
        if (this.#again) this.poke();
      });
    return work;
  }

  async #work(): Promise<void> {
    try {
      await this.#numberAll();
    } catch (error) {
      if (this.#isClosed) return;
      this.#deps.log.warn("Events could not be given their positions; it is tried again", {
        error,
      });
      await new Promise((resolve) => {
        setTimeout(resolve, pauseMs);
      });
    }
  }

  async #numberAll(): Promise<void> {
    try {
      this.#again = false;
      // Those that are there already wait for no rest.
      while (await this.#number());
    } catch (error) {
      this.#connection?.destroy();
      this.#connection = null;
      this.#again = !this.#isClosed;
      throw error;
    }
  }

  /** True when there may be more. */
  async #number(): Promise<boolean> {
    if (this.#connection === null || this.#connection.isLost)
      this.#connection = await this.#deps.open();
    const { rows } = await this.#connection.query<{ readonly count: number }>(numberEvents, [
      atOnce,
      this.#deps.instance,
    ]);
    const count = rows[0]?.count ?? 0;
    if (count > 0) this.#deps.numbered();
    return count === atOnce;
  }
}
