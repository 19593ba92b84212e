import type { Room } from "../sql/locks.ts";
import type { Session } from "../sql/session.ts";

/** What a caller of `transact` asked for, until it is kept or has failed. It may be run several times. */
export interface Job {
  readonly run: (session: Session & { readonly open: boolean }) => Promise<void>;
  readonly kept: () => void;
  readonly failed: (error: unknown) => void;
  /** Rooms it has turned out to need; entered at the beginning of its next run. */
  readonly rooms: Set<Room>;
  /** Many like it come at once, so that they are run side by side in one transaction. */
  readonly brief: boolean;
  readonly inPlace: () => boolean;
  /** How often it ran again, by reason. */
  readonly again: { rerun: number; overtaken: number; lost: number };
}
