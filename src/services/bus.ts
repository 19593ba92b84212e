import type { Bus, BusStatus, RedriveRequest, Redriven } from "../ports/bus.ts";
import { timestamp, type Clock } from "../ports/clock.ts";
import type { Store } from "../ports/store.ts";

export interface BusDeps {
  readonly bus: Bus;
  readonly store: Store;
  readonly clock: Clock;
}

export interface BusRead extends BusStatus {
  readonly kind: string;
  /** Events of the journal that are not yet confirmed by the bus; null where none are passed on. */
  readonly behind: number | null;
}

/** How the bus is. Never rejects because the bus is down. */
export async function getBus({ bus, store }: Pick<BusDeps, "bus" | "store">): Promise<BusRead> {
  const status = await bus.status();
  if (bus.kind === "embedded") return { ...status, kind: bus.kind, behind: null };
  return { ...status, kind: bus.kind, behind: await eventsBehind({ store }) };
}

/** Events of the journal that the bus has not confirmed yet; null until a replica has begun to pass it on. */
export async function eventsBehind({ store }: Pick<BusDeps, "store">): Promise<number | null> {
  const { head, position } = await store.read(async (tx) => ({
    head: await tx.events.head(),
    position: await tx.relays.position("bus"),
  }));
  return position === null ? null : Math.max(0, head - position);
}

/** Moves dead letters back to the commands. Safe to repeat. Errors: `unavailable`. */
export async function redriveBus(
  { bus, store, clock }: BusDeps,
  request: RedriveRequest & { readonly actor: string },
): Promise<Redriven> {
  const { reason, limit, dryRun, actor } = request;
  const redriven = await bus.redrive({ reason, limit, dryRun });
  if (!dryRun)
    await store.transact((tx) =>
      tx.audits.append({
        id: clock.id("event"),
        time: timestamp(clock),
        actor,
        action: "bus.redrive",
        subject: "bus",
        commandId: null,
        detail: { reason, limit, moved: redriven.moved },
      }),
    );
  return redriven;
}
