import type { Failure } from "../../../domain/errors.ts";
import type { Attempt } from "../../../domain/step.ts";
import type { Fence } from "../../../ports/work.ts";
import { toJson } from "./json.ts";
import { statement } from "./session.ts";
import type { Session } from "./session.ts";

const insertAttempt = statement(
  `insert into "attempt" ("stepId", "token", "worker", "startedAt", "finishedAt", "outcome", "failure", "child", "notes")
   values (?, ?, ?, ?, null, null, 'null', 'null', '[]')`,
);
const finishAttempt = statement(
  `update "attempt" set "finishedAt" = ?, "outcome" = ?, "failure" = ? where "stepId" = ? and "token" = ?`,
);

/** Stores what a claim intends. */
export async function beginAttempt(
  session: Session,
  of: {
    readonly stepId: string;
    readonly token: number;
    readonly worker: string;
    readonly now: string;
  },
): Promise<void> {
  const { stepId, token, worker, now } = of;
  await session.run(insertAttempt, stepId, token, worker, now);
}

export async function endAttempt(
  session: Session,
  fence: Fence,
  ended: {
    readonly outcome: Attempt["outcome"];
    readonly failure: Failure | null;
    readonly now: string;
  },
): Promise<void> {
  const what = [ended.now, ended.outcome, toJson(ended.failure)] as const;
  await session.run(finishAttempt, ...what, fence.stepId, fence.token);
}
