import type { Locks, Room } from "../sql/locks.ts";
import { hold, tryToHold, type Held } from "./hold.ts";
import type { Owner, Owners } from "./owners.ts";

/**
 * Why a transaction gives way before its end: it runs again, in another's transaction, in a room, with no others at its side,
 * or simply once more.
 */
export class GivesWay extends Error {
  readonly to: Owner | Room | "newer rows" | "no others";

  constructor(to: Owner | Room | "newer rows" | "no others") {
    super("A transaction gives way and runs again; this error is not for those who use it");
    this.to = to;
  }
}

const environmentOfRun = `select "environmentId" from "run" where "id" = ?`;

export interface WriteLocksDeps {
  readonly owner: Owner;
  readonly owners: Owners;
  /** Who sends. */
  readonly by: object;
  /** Whether others use the transaction at the same time. */
  readonly sharing: boolean;
  /** Whether rows that came in between are a reason to run once more. */
  readonly mayBeOvertaken: boolean;
  /** Ends the run; throws. */
  readonly giveWay: (why: GivesWay) => never;
}

/**
 * Locks of rows of environments, for this transaction until its end. Where several share it, an environment is one's alone
 * until that one has ended, and nobody waits for another transaction: whoever would have to runs again by itself.
 */
export class WriteLocks implements Locks {
  readonly #deps: WriteLocksDeps;
  readonly #environments = new Map<string, string>();
  readonly #own = new Set<string>();
  #passedOver = false;

  constructor(deps: WriteLocksDeps) {
    this.#deps = deps;
  }

  /** Whether something was left alone because others held it: it must be looked at again. */
  get passedOver(): boolean {
    return this.#passedOver;
  }

  async hold(environmentId: string): Promise<void> {
    const { owner, by, sharing, giveWay } = this.#deps;
    const { transaction } = owner;
    if (this.#own.has(environmentId)) return;
    if (owner.held.has(environmentId)) {
      if (owner.isWithOther(environmentId, by)) giveWay(new GivesWay(owner));
      this.#takes(environmentId);
      return;
    }
    const first = sharing ? this.#own.size === 0 : owner.held.size === 0;
    // One that waits while it holds must be the only such one, or two could wait for each other.
    if (!first && !transaction.rooms.has("requirements")) giveWay(new GivesWay("requirements"));
    if (sharing) return this.#holdOrLeave(environmentId);
    if (first) this.#join(environmentId);
    this.#takes(environmentId);
    const held = transaction.send<Held>(hold.sql, [environmentId], by);
    owner.sequences.set(
      environmentId,
      held.then(
        ({ rows }) => rows[0]?.sequence ?? null,
        // The statement after it fails for the same reason.
        () => null,
      ),
    );
  }

  /** As holding it tells, where nobody waits for that. */
  saw(environmentId: string, sequence: number): void {
    this.#deps.owner.sequences.set(environmentId, Promise.resolve(sequence));
  }

  holds(environmentId: string): boolean {
    const { owner, by } = this.#deps;
    return owner.held.has(environmentId) && !owner.isWithOther(environmentId, by);
  }

  async tryHold(environmentId: string): Promise<boolean> {
    const { owner, owners, by, sharing } = this.#deps;
    if (this.#own.has(environmentId)) return true;
    if (owner.held.has(environmentId)) {
      if (owner.isWithOther(environmentId, by)) return this.#passesOver();
      this.#takes(environmentId);
      return true;
    }
    if (owners.of(environmentId) === null && (await this.#holdNow(environmentId))) return true;
    if (!sharing) this.#join(environmentId);
    return this.#passesOver();
  }

  /** What it held is for others of the transaction from here on. */
  end(): void {
    for (const environmentId of this.#own) this.#deps.owner.leave(environmentId, this.#deps.by);
  }

  async #holdOrLeave(environmentId: string): Promise<void> {
    const { owners, giveWay } = this.#deps;
    const other = owners.of(environmentId);
    if (other !== null) giveWay(new GivesWay(other));
    if (!(await this.#holdNow(environmentId))) giveWay(new GivesWay("no others"));
  }

  /** Without waiting. Known to the others of this process from the asking on, so that none asks at the same time. */
  async #holdNow(environmentId: string): Promise<boolean> {
    const { owner, owners, by } = this.#deps;
    this.#takes(environmentId);
    const { rows } = await owner.transaction.send<Held>(tryToHold.sql, [environmentId], by);
    const [row] = rows;
    if (row !== undefined) {
      owner.sequences.set(environmentId, Promise.resolve(row.sequence));
      return true;
    }
    this.#own.delete(environmentId);
    owner.leave(environmentId, by);
    owners.giveUp(environmentId, owner);
    return false;
  }

  #takes(environmentId: string): void {
    const { owner, owners, by } = this.#deps;
    this.#own.add(environmentId);
    owners.take(environmentId, owner);
    owner.enter(environmentId, by);
  }

  #passesOver(): false {
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

  made(environmentId: string, sequence: number): void {
    this.#takes(environmentId);
    this.#deps.owner.sequences.set(environmentId, Promise.resolve(sequence));
  }

  async holdRun(runId: string): Promise<void> {
    const known = this.#environments.get(runId);
    if (known !== undefined) return this.hold(known);
    const { owner, by } = this.#deps;
    const { rows } = await owner.transaction.send<{ readonly environmentId: string }>(
      environmentOfRun,
      [runId],
      by,
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
