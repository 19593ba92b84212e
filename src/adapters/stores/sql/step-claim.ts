import { offersAll } from "../../../domain/label.ts";
import type { Claim, ClaimRequest } from "../../../ports/work.ts";
import type { Dialect, Session } from "./session.ts";
import { fewOffered, offerDueSteps, offersNow, type Offered } from "./step-offer.ts";
import {
  firstAfter,
  headsAfter,
  lanesWithWork,
  type Candidate,
  type Heads,
  type Pickable,
} from "./step-heads.ts";
import { claimOwn, ownSteps } from "./step-own.ts";
import { partsOfLane, stepOf, type StepRow } from "./step-rows.ts";
import { claimOf, take } from "./step-take.ts";

/** Whose last look found nothing: the next claims what it has inserted itself before it looks. */
const sawNone = new WeakSet<Dialect>();
/** Whose last look found many offered steps: the next asks for their lanes along with them. */
const sawMany = new WeakSet<Dialect>();
const inPlace = new WeakMap<Session, Claim[]>();

/** Keeps what a step's end has claimed in its place. */
export function keepInPlace(session: Session, claim: Claim): void {
  inPlace.set(session, [...claimedInPlace(session), claim]);
}

/** The same for a step that a statement has claimed, of which the row is known as it was before. */
export function claimInPlace(
  session: Session,
  row: StepRow,
  by: { readonly worker: string; readonly now: string; readonly runAttempt: number },
): Claim {
  const { worker, now, runAttempt } = by;
  const startedAt = row.startedAt ?? now;
  const token = row.token + 1;
  const step = stepOf({ ...row, status: "running", waitingOn: 0, token, worker, startedAt });
  const claim: Claim = { step, settle: false, runAttempt };
  keepInPlace(session, claim);
  return claim;
}

export function claimedInPlace(session: Session): readonly Claim[] {
  return inPlace.get(session) ?? [];
}

/**
 * Goes round: each lane in turn gives one step of its next run, so neither a lane nor a run starves another; within a
 * run the step inserted first goes first. Only offered steps are in the index that is read, and a run without room is
 * passed over as a whole, so the cost follows what is claimed. So is a run whose environment another transaction holds.
 */
export async function claimSteps(
  session: Session,
  request: ClaimRequest,
): Promise<readonly Claim[]> {
  if (request.limit <= 0) return [];
  const { dialect } = session;
  const few = Math.max(fewOffered, 2 * request.limit);
  const inserted = sawNone.has(dialect) ? ownSteps(session) : 0;
  const alone = inserted > 0 ? await claimOwn(session, request) : [];
  // They are taken only where nothing else is offered, so there is nothing to look for.
  if (inserted > 0 && alone.length === inserted) return alone;
  const [own, all, seen] = await Promise.all([
    dialect.packs ? claimOwn(session, request) : [],
    offeredSteps(session, request.now, few),
    sawMany.has(dialect) ? lanesWithWork(session) : null,
  ]);
  const mine = [...alone, ...own];
  // They may have been seen before they were taken.
  const taken = new Set(mine.map(({ step }) => step.id));
  const offered = all.filter(({ id }) => !taken.has(id));
  if (offered.length === 0) {
    sawNone.add(dialect);
    return mine;
  }
  sawNone.delete(dialect);
  const known = offered.length <= few ? offered : null;
  if (known === null) sawMany.add(dialect);
  else sawMany.delete(dialect);
  const round: Round = {
    session,
    known,
    taken,
    request,
    places: placesLeft(request, mine),
    ahead: new Map(),
    full: new Set(),
    claims: [...mine],
  };
  const lanes = known === null ? (seen ?? (await lanesWithWork(session))) : lanesOf(known);
  const served = lanes.filter((lane) => offersAll(request.labels, partsOfLane(lane).runsOn));
  const turning = (status: Pickable): Lane[] =>
    served.map((name) => ({ name, last: dialect.turns.get(turnOf(name, status)) ?? "" }));
  const [unknown, ready] = [turning("unknown"), turning("ready")];
  await Promise.all([lookAhead(round, unknown, "unknown"), lookAhead(round, ready, "ready")]);
  await goRound(round, unknown, "unknown");
  await goRound(round, ready, "ready");
  return round.claims;
}

function lanesOf(steps: readonly Offered[]): readonly string[] {
  return [...new Set(steps.map((step) => step.lane))];
}

function placesLeft({ places }: ClaimRequest, own: readonly Claim[]): Map<string, number> {
  const left = new Map(Object.entries(places));
  for (const { step } of own) {
    const place = step.phase === "check" ? "check" : (step.executor ?? "");
    const room = left.get(place);
    if (room !== undefined) left.set(place, room - 1);
  }
  return left;
}

/** Up to one more than few. */
async function offeredSteps(
  session: Session,
  now: string,
  few: number,
): Promise<readonly Offered[]> {
  const { due, offered } = await offersNow(session, now, few);
  if (due.length === 0) return offered;
  await offerDueSteps(session, due);
  return (await offersNow(session, now, few)).offered;
}

interface Round {
  readonly session: Session;
  /** All offered steps in the order of the index, when they are few. */
  readonly known: readonly Offered[] | null;
  /** When they are many: what has been asked of each lane, until something is taken. */
  readonly ahead: Map<string, readonly Heads[]>;
  readonly taken: Set<string>;
  readonly request: ClaimRequest;
  readonly places: Map<string, number>;
  /** Runs that have no room, or whose environment another transaction holds. */
  readonly full: Set<string>;
  readonly claims: Claim[];
}

/** Asks of each lane, where it is not known, as much as one going round can choose: after the run that was served last, and up to it. */
async function lookAhead(round: Round, lanes: readonly Lane[], status: Pickable): Promise<void> {
  const { session, known, request, claims, ahead } = round;
  const most = request.limit - claims.length;
  if (known !== null || most <= 0) return;
  const asking = lanes.map(async ({ name: lane, last }) => {
    const from = last === "" || most === 1 ? [last] : [last, ""];
    const asked = from.map((after) => headsAfter(session, { lane, after, status }, most));
    ahead.set(turnOf(lane, status), await Promise.all(asked));
  });
  await Promise.all(asking);
}

/** Chooses and takes until nothing more can be chosen: what could not be taken leaves room for others. */
async function goRound(round: Round, lanes: Lane[], status: Pickable): Promise<void> {
  while (round.claims.length < round.request.limit && mayGive(round, status)) {
    const chosen = await choose(round, lanes, status);
    if (chosen.length === 0) return;
    // Side by side: where the database is far away they go to it together.
    await Promise.all(chosen.map((one) => takeChosen(round, one, status)));
    await lookAhead(round, lanes, status);
  }
}

/** Where all that is offered is known, whether some of it is left: looking for it costs more than this. */
function mayGive({ known, taken }: Round, status: Pickable): boolean {
  return known?.some((step) => step.status === status && !taken.has(step.id)) ?? true;
}

interface Lane {
  readonly name: string;
  /** Which run was served last. */
  last: string;
}

interface Chosen extends Candidate {
  readonly lane: string;
}

function turnOf(lane: string, status: Pickable): string {
  return `${status} ${lane}`;
}

/**
 * What is next as the lanes take turns, until a run would come a second time: whether it has room for another step shows
 * when the first is taken. Lanes that have given go to the end of the list, and those that have nothing leave it.
 */
async function choose(round: Round, lanes: Lane[], status: Pickable): Promise<readonly Chosen[]> {
  const { claims, request, places } = round;
  const chosen: Chosen[] = [];
  const taken = new Map<string, number>();
  for (let [lane] = lanes; lane !== undefined; [lane] = lanes) {
    if (claims.length + chosen.length >= request.limit) return chosen;
    const { place } = partsOfLane(lane.name);
    const used = taken.get(place) ?? 0;
    const hasRoom = (places.get(place) ?? Number.POSITIVE_INFINITY) > used;
    // Those that are chosen may turn out not to be taken, and leave their place to this lane.
    if (!hasRoom && used > 0) return chosen;
    const next = hasRoom ? await nextIn(round, lane, status) : null;
    if (chosen.some(({ runId }) => runId === next?.runId)) return chosen;
    lanes.shift();
    if (next === null) continue;
    lanes.push(lane);
    lane.last = next.runId;
    taken.set(place, used + 1);
    chosen.push({ ...next, lane: lane.name });
  }
  return chosen;
}

/** The lane's next step: of the first run after the one that was served last, round to that one itself, that is not full. */
async function nextIn(round: Round, lane: Lane, status: Pickable): Promise<Candidate | null> {
  let after = lane.last;
  let hasWrapped = after === "";
  for (;;) {
    const found = await candidateAfter(round, { lane: lane.name, after, status });
    if (found === undefined || (hasWrapped && lane.last !== "" && found.runId > lane.last)) {
      if (hasWrapped) return null;
      hasWrapped = true;
      after = "";
      continue;
    }
    after = found.runId;
    if (!round.full.has(found.runId)) return found;
  }
}

async function takeChosen(round: Round, chosen: Chosen, status: Pickable): Promise<void> {
  const { session, places, full } = round;
  if (!(await claimOne(round, chosen, status))) {
    full.add(chosen.runId);
    return;
  }
  session.dialect.turns.set(turnOf(chosen.lane, status), chosen.runId);
  const { place } = partsOfLane(chosen.lane);
  const room = places.get(place);
  if (room !== undefined) places.set(place, room - 1);
}

/** The next step of the lane that belongs to a later run than `after`. */
async function candidateAfter(
  round: Round,
  at: { readonly lane: string; readonly after: string; readonly status: Pickable },
): Promise<Candidate | undefined> {
  const { session, known, taken, ahead, request, claims } = round;
  const { lane, after, status } = at;
  if (known === null) {
    const asked = ahead.get(turnOf(lane, status)) ?? [];
    const found = firstAfter(asked, after);
    if (found !== undefined) return found ?? undefined;
    const more = await headsAfter(session, at, request.limit - claims.length);
    ahead.set(turnOf(lane, status), [...asked, more]);
    return more.heads[0];
  }
  return known.find(
    (step) =>
      step.lane === lane && step.runId > after && step.status === status && !taken.has(step.id),
  );
}

/**
 * False when its run has no room, another transaction holds its environment, somebody took the step before that, or the
 * worker may own nothing.
 */
async function claimOne(
  round: Round,
  { id, runId, environmentId }: Candidate,
  status: Pickable,
): Promise<boolean> {
  const { session, request } = round;
  session.locks.knows(runId, environmentId);
  if (!(await session.locks.tryHold(environmentId))) return false;
  round.taken.add(id);
  const by = [request.worker, request.now] as const;
  const row = await session.one(take, ...by, id, status, ...by);
  if (row === undefined) return false;
  round.claims.push(await claimOf(session, row, { ...request, settle: status === "unknown" }));
  return true;
}
