import { offersAll } from "../../../domain/label.ts";
import type { Step } from "../../../domain/step.ts";
import type { Claim, ClaimRequest } from "../../../ports/work.ts";
import type { Session, TakenRow } from "./session.ts";
import { partsOfLane } from "./step-rows.ts";
import { claimOf, takeOwn } from "./step-take.ts";

interface Own extends Pick<Step, "id" | "runId"> {
  readonly lane: string;
}

/** Steps that a transaction has inserted as ready, where it can claim them without asking what is offered. */
const kept = new WeakMap<Session, Own[]>();
/** More of them than any worker has places for need not be remembered. */
const mostKept = 100;

export function keepOwn(session: Session, { id, runId }: Step, lane: string): void {
  const own = kept.get(session) ?? [];
  if (own.length < mostKept) own.push({ id, runId, lane });
  kept.set(session, own);
}

/** How many there are; 0 also where there may be more than are remembered. */
export function ownSteps(session: Session): number {
  const { length } = kept.get(session) ?? [];
  return length < mostKept ? length : 0;
}

/** Claims them together with the question of what else is offered; none where there is something else. */
export async function claimOwn(session: Session, request: ClaimRequest): Promise<readonly Claim[]> {
  const { takeOwn: text = takeOwn } = session.dialect;
  const own = kept.get(session);
  if (own === undefined) return [];
  kept.delete(session);
  const { worker, now } = request;
  const rows = await Promise.all(
    chosen(own, request).map(({ id, runId }) => session.one(text, worker, now, id, runId)),
  );
  const taken = rows.filter((row): row is TakenRow => row !== undefined);
  return Promise.all(taken.map((row) => claimOf(session, row, { worker, now, settle: false })));
}

/** As many as there are places for, in the order of their insertion. */
function chosen(own: readonly Own[], request: ClaimRequest): readonly Own[] {
  const places = new Map(Object.entries(request.places));
  const found: Own[] = [];
  for (const step of own) {
    const { place, runsOn } = partsOfLane(step.lane);
    const room = places.get(place) ?? Number.POSITIVE_INFINITY;
    if (found.length >= request.limit || room <= 0 || !offersAll(request.labels, runsOn)) continue;
    places.set(place, room - 1);
    found.push(step);
  }
  return found;
}
