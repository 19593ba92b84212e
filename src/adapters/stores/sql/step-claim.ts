import { offersAll } from "../../../domain/label.ts";
import type { StepStatus } from "../../../domain/step.ts";
import type { Claim, ClaimRequest } from "../../../ports/work.ts";
import { toJson } from "./json.ts";
import { statement } from "./session.ts";
import type { Session, Statement } from "./session.ts";
import { dueSteps, offerDueSteps } from "./step-offer.ts";
import { indexedStatus, partsOfLane, stepOf } from "./step-rows.ts";
import type { StepRow } from "./step-rows.ts";

interface Candidate {
  readonly id: string;
  readonly runId: string;
  readonly environmentId: string;
}

interface Offered extends Candidate {
  readonly lane: string;
  readonly status: StepStatus;
}

/** When no more steps than this are offered, one question fetches them all. */
const fewOffered = 32;
const someOffered = statement<Offered>(
  `select "id", "runId", "environmentId", "lane", "status" from "step"
   where "offered" = 1 order by "lane", "runId", "number" limit ${fewOffered + 1}`,
);
const nextLane = statement<{ readonly lane: string }>(
  `select "lane" from "step" where "offered" = 1 and "lane" > ? order by "lane" limit 1`,
);
const firstLane = statement<{ readonly lane: string }>(
  `select "lane" from "step" where "offered" = 1 order by "lane" limit 1`,
);
const nextUnknown = statement<Candidate>(
  `select "id", "runId", "environmentId" from "step"
   where "offered" = 1 and "status" = 'unknown' and "lane" = ? and "runId" > ? order by "runId", "number" limit 1`,
);
const nextReady = statement<Candidate>(
  `select "id", "runId", "environmentId" from "step"
   where "offered" = 1 and "status" = 'ready' and "lane" = ? and "runId" > ? order by "runId", "number" limit 1`,
);
/**
 * Only with the status that it was seen with: since then another may have had it and been lost, and what has become unknown
 * meanwhile must not be taken for what was never begun. Only while the run is below its parallelism: asked in the same
 * statement, as each is a way to the database and back. Written as it is so that the step is found by its id: by the index
 * of what is offered all that is offered would be read.
 */
const take = statement<StepRow & { readonly runAttempt: number }>(
  `update "step" set "status" = 'running', "offered" = 0, "token" = "token" + 1, "worker" = ?, "availableAt" = null,
     "startedAt" = coalesce("startedAt", ?)
   where "id" = ? and "offered" <> 0 and "status" = ?
     and (select count(*) from "step" "other" where "other"."runId" = "step"."runId"
            and "other"."status" = 'running' and "other".${indexedStatus})
       < (select "parallelism" from "run" where "run"."id" = "step"."runId")
   returning *, (select "attempt" from "run" where "run"."id" = "step"."runId") as "runAttempt"`,
);
const insertAttempt = statement(
  `insert into "attempt" ("stepId", "token", "worker", "startedAt", "finishedAt", "outcome", "failure", "child", "notes")
   values (?, ?, ?, ?, null, null, ?, ?, ?)`,
);

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
  const offered = await offeredSteps(session, request.now);
  if (offered.length === 0) return [];
  const known = offered.length <= fewOffered ? offered : null;
  const round: Round = {
    session,
    known,
    taken: new Set(),
    request,
    places: new Map(Object.entries(request.places)),
    full: new Set(),
    claims: [],
  };
  const lanes =
    known === null ? await lanesWithWork(session) : [...new Set(known.map((step) => step.lane))];
  const own = lanes.filter((lane) => offersAll(request.labels, partsOfLane(lane).runsOn));
  await goRound(round, own, { select: nextUnknown, status: "unknown" });
  await goRound(round, own, { select: nextReady, status: "ready" });
  return round.claims;
}

/** Up to one more than a few. Both questions go out together: hardly ever has a step's time just come. */
async function offeredSteps(session: Session, now: string): Promise<readonly Offered[]> {
  const some = (): Promise<readonly Offered[]> => session.all(someOffered);
  const [due, offered] = await Promise.all([dueSteps(session, now), some()]);
  if (due.length === 0) return offered;
  await offerDueSteps(session, due);
  return some();
}

interface Round {
  readonly session: Session;
  /** All offered steps in the order of the index, when they are few. */
  readonly known: readonly Offered[] | null;
  readonly taken: Set<string>;
  readonly request: ClaimRequest;
  readonly places: Map<string, number>;
  /** Runs that have no room, or whose environment another transaction holds. */
  readonly full: Set<string>;
  readonly claims: Claim[];
}

interface Pick {
  readonly select: Statement<Candidate>;
  readonly status: "unknown" | "ready";
}

async function goRound(round: Round, lanes: readonly string[], pick: Pick): Promise<void> {
  const open = new Set(lanes);
  while (open.size > 0) {
    for (const lane of open) {
      if (round.claims.length >= round.request.limit) return;
      const room = round.places.get(partsOfLane(lane).place) ?? Number.POSITIVE_INFINITY;
      if (room <= 0 || !(await claimInLane(round, lane, pick))) open.delete(lane);
    }
  }
}

/** Claims the next step of the lane; false when none of its runs has both a step and room. */
async function claimInLane(round: Round, lane: string, pick: Pick): Promise<boolean> {
  const { session, places } = round;
  const turn = `${pick.status} ${lane}`;
  const start = session.dialect.turns.get(turn) ?? "";
  let after = start;
  let wrapped = start === "";
  for (;;) {
    const found = await candidateAfter(round, { lane, after, pick });
    if (found === undefined || (wrapped && start !== "" && found.runId > start)) {
      if (wrapped) return false;
      wrapped = true;
      after = "";
      continue;
    }
    after = found.runId;
    if (round.full.has(found.runId)) continue;
    if (!(await claimOne(round, found, pick.status))) {
      round.full.add(found.runId);
      continue;
    }
    session.dialect.turns.set(turn, found.runId);
    const { place } = partsOfLane(lane);
    const room = places.get(place);
    if (room !== undefined) places.set(place, room - 1);
    return true;
  }
}

/** The next step of the lane that belongs to a later run than `after`. */
async function candidateAfter(
  { session, known, taken }: Round,
  at: { readonly lane: string; readonly after: string; readonly pick: Pick },
): Promise<Candidate | undefined> {
  const { lane, after, pick } = at;
  if (known === null) return session.one(pick.select, lane, after);
  return known.find(
    (step) =>
      step.lane === lane &&
      step.runId > after &&
      step.status === pick.status &&
      !taken.has(step.id),
  );
}

/** False when its run has no room, another transaction holds its environment, or somebody took the step before that. */
async function claimOne(
  round: Round,
  { id, runId, environmentId }: Candidate,
  status: Pick["status"],
): Promise<boolean> {
  const { session, request } = round;
  session.locks.knows(runId, environmentId);
  if (!(await session.locks.tryHold(environmentId))) return false;
  round.taken.add(id);
  const row = await session.one(take, request.worker, request.now, id, status);
  if (row === undefined) return false;
  const none = toJson(null);
  const at = [row.id, row.token, request.worker, request.now] as const;
  await session.run(insertAttempt, ...at, none, none, toJson([]));
  const settle = status === "unknown";
  round.claims.push({ step: stepOf(row), settle, runAttempt: row.runAttempt });
  return true;
}

/** The lanes that hold offered steps, one look into the index for each. */
export async function lanesWithWork(session: Session): Promise<readonly string[]> {
  const lanes: string[] = [];
  let found = await session.one(firstLane);
  while (found !== undefined) {
    lanes.push(found.lane);
    found = await session.one(nextLane, found.lane);
  }
  return lanes;
}
