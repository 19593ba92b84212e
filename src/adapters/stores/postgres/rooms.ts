import type { Room } from "../sql/locks.ts";

/** One transaction of this process at a time goes to wait for a room in the database: waiting there takes a connection. */
export class Rooms {
  readonly #last = new Map<Room, Promise<void>>();

  /** Resolves when it is this caller's turn in all of them; the returned function lets the next one in. */
  async enter(rooms: ReadonlySet<Room>): Promise<() => void> {
    const leaves: (() => void)[] = [];
    for (const room of [...rooms].toSorted()) {
      const before = this.#last.get(room);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#last.set(room, promise);
      leaves.push(resolve);
      await before;
    }
    return () => {
      for (const leave of leaves) leave();
    };
  }
}
