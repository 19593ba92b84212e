import type { Locks, Room } from "../sql/locks.ts";
import type { Owner, Owners } from "./owners.ts";

/** Why a transaction gives way before its end: it runs again, in another's transaction, in a room, or simply once more. */
export class GivesWay extends Error {
  readonly to: Owner | Room | "newer rows";

  constructor(to: Owner | Room | "newer rows") {
    super("A transaction gives way and runs again; this error is not for those who use it");
    this.to = to;
  }
}

const hold = `select "sequence" from "environment" where "id" = ? for no key update`;
const tryToHold = `select "sequence" from "environment" where "id" = ? for no key update skip locked`;
const environmentOfRun = `select "environmentId" from "run" where "id" = ?`;

interface Held {
  readonly sequence: number;
}

export interface WriteLocksDeps {
  readonly owner: Owner;
  readonly owners: Owners;
  /** Whether rows that came in between are a reason to run once more. */
  readonly mayBeOvertaken: boolean;
  /** Ends the run; throws. */
  readonly giveWay: (why: GivesWay) => never;
}

/**
 * Locks of rows of environments, for this transaction until its end. `for no key update` lets rows that refer to the
 * environment be inserted by whoever need not hold it.
 */
export class WriteLocks implements Locks {
  readonly #deps: WriteLocksDeps;
  readonly #environments = new Map<string, string>();
  #passedOver = false;

  constructor(deps: WriteLocksDeps) {
    this.#deps = deps;
  }

  /** Whether something was left alone because others held it: it must be looked at again. */
  get passedOver(): boolean {
    return this.#passedOver;
  }

  async hold(environmentId: string): Promise<void> {
    const { owner, owners, giveWay } = this.#deps;
    const { transaction } = owner;
    if (owner.held.has(environmentId)) return;
    const first = owner.held.size === 0;
    // One that waits while it holds must be the only such one, or two could wait for each other.
    if (!first && !transaction.rooms.has("requirements")) giveWay(new GivesWay("requirements"));
    if (first) this.#join(environmentId);
    owners.take(environmentId, owner);
    const held = transaction.send<Held>(hold, [environmentId]);
    owner.sequences.set(
      environmentId,
      held.then(
        ({ rows }) => rows[0]?.sequence ?? null,
        // The statement after it fails for the same reason.
        () => null,
      ),
    );
  }

  holds(environmentId: string): boolean {
    return this.#deps.owner.held.has(environmentId);
  }

  async tryHold(environmentId: string): Promise<boolean> {
    const { owner, owners } = this.#deps;
    if (owner.held.has(environmentId)) return true;
    if (owners.of(environmentId) === null) {
      const { rows } = await owner.transaction.send<Held>(tryToHold, [environmentId]);
      const [row] = rows;
      if (row !== undefined) {
        owners.take(environmentId, owner);
        owner.sequences.set(environmentId, Promise.resolve(row.sequence));
        return true;
      }
    }
    this.#join(environmentId);
    this.#passedOver = true;
    return false;
  }

  async take(environmentId: string, count: number): Promise<number | null> {
    const { sequences } = this.#deps.owner;
    const before = sequences.get(environmentId);
    if (before === undefined) return null;
    sequences.set(
      environmentId,
      before.then((sequence) => (sequence === null ? null : sequence + count)),
    );
    return before;
  }

  async holdRun(runId: string): Promise<void> {
    const known = this.#environments.get(runId);
    if (known !== undefined) return this.hold(known);
    const { rows } = await this.#deps.owner.transaction.send<{ readonly environmentId: string }>(
      environmentOfRun,
      [runId],
    );
    const environmentId = rows[0]?.environmentId;
    if (environmentId === undefined) return;
    this.knows(runId, environmentId);
    await this.hold(environmentId);
  }

  knows(runId: string, environmentId: string): void {
    this.#environments.set(runId, environmentId);
  }

  async alone(room: Room): Promise<void> {
    if (!this.#deps.owner.transaction.rooms.has(room)) this.#deps.giveWay(new GivesWay(room));
  }

  /** Gives way to the transaction of this process that holds it, unless this one has begun something of its own. */
  #join(environmentId: string): void {
    const { owner, owners, giveWay } = this.#deps;
    const { transaction, held } = owner;
    const other = owners.of(environmentId);
    if (other === null || other === owner || held.size > 0) return;
    if (!transaction.hasWritten && transaction.rooms.size === 0) giveWay(new GivesWay(other));
  }

  overtaken(): void {
    if (this.#deps.mayBeOvertaken) this.#deps.giveWay(new GivesWay("newer rows"));
  }
}
