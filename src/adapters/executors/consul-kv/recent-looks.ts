import type { PrefixLook } from "../../../clients/consul/kv.ts";
import type { ExecutorContext, Observation } from "../../../ports/executor.ts";
import type { Place } from "./settings.ts";

type Looking = Pick<ExecutorContext, "owner" | "previous">;

interface RecentLook {
  /** Of the record that was compared with. */
  readonly appliedAt: string;
  readonly place: Place;
  /** Consul's index of the prefix. */
  readonly index: number;
  /** All keys below the prefix, in Consul's order. */
  readonly names: readonly string[];
  /** The names as Consul writes them, once they were seen: to compare them so costs next to nothing. */
  written: Buffer | null;
  readonly observation: Observation;
  readonly atMs: number;
}

/** Groups of more keys than all of these together are looked at in full each time. */
const mostNames = 100_000;
/** A Consul that was set up anew from a copy may come to an index a second time, for something else. */
const keptMs = 3_600_000;

/**
 * What looks found as it should be, so that nothing is compared again while nothing has changed. Nothing has when Consul's index of the
 * prefix and the names below it are what they were: a write raises the index, and so does a removal, until Consul forgets when that
 * was; from then on the name is missing.
 */
export class RecentLooks {
  /** The least recently used first. */
  readonly #looks = new Map<string, RecentLook>();
  #names = 0;

  /** Where to look whether it still holds; null when nothing is known of the record as it is now. */
  placeOf(ctx: Looking): Place | null {
    const known = this.#looks.get(ctx.owner);
    if (known === undefined || known.appliedAt !== ctx.previous?.appliedAt) return null;
    return performance.now() - known.atMs > keptMs ? null : known.place;
  }

  /** What was found then, when it still holds. */
  same(ctx: Looking, seen: PrefixLook): Observation | null {
    const known = this.#looks.get(ctx.owner);
    if (known === undefined || known.index !== seen.index) return null;
    if (known.written === null && isSame(known.names, seen.names)) known.written = seen.names;
    if (known.written?.equals(seen.names) !== true) return null;
    this.#looks.delete(ctx.owner);
    this.#looks.set(ctx.owner, known);
    return known.observation;
  }

  keep(ctx: Looking, of: Pick<RecentLook, "place" | "index" | "names" | "observation">): void {
    this.forget(ctx);
    const { previous, owner } = ctx;
    if (previous === null || of.index === 0 || of.names.length > mostNames) return;
    const { appliedAt } = previous;
    this.#looks.set(owner, { ...of, appliedAt, written: null, atMs: performance.now() });
    this.#names += of.names.length;
    for (const oldest of this.#looks.keys()) {
      if (this.#names <= mostNames) return;
      this.#remove(oldest);
    }
  }

  forget({ owner }: Looking): void {
    this.#remove(owner);
  }

  #remove(owner: string): void {
    this.#names -= this.#looks.get(owner)?.names.length ?? 0;
    this.#looks.delete(owner);
  }
}

function isSame(names: readonly string[], written: Buffer): boolean {
  return JSON.stringify(names) === JSON.stringify(JSON.parse(written.toString("utf8")));
}
