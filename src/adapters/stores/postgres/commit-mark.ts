import { setTimeout as sleep } from "node:timers/promises";
import { GlasshouseError } from "../../../domain/errors.ts";
import { faultKind } from "../../../clients/postgres/errors.ts";
import type { Pool } from "../../../clients/postgres/pool.ts";
import type { CommitMark } from "./transaction.ts";

/**
 * Waits for the transaction of the lost connection when it is still under way, makes its commit fail when it has not come
 * to it yet, and gives the number of the newest one that took effect.
 */
const close = `insert into "commitMark" ("connection", "number", "closed", "at") values (?, 0, true, now())
   on conflict ("connection") do update set "closed" = true returning "number"`;

const patienceMs = 300_000;
const firstPauseMs = 20;
const longestPauseMs = 1_000;

/**
 * Whether a commit whose answer was lost took effect. Asks until it is known: nothing may be repeated, and nobody may be told
 * that it failed, before that. Errors: `unavailable` when the database stays away for minutes.
 */
export async function tookEffect(pool: Pool, mark: CommitMark): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      return (await newestCommit(pool, mark)) >= mark.number;
    } catch (error) {
      const isPassing = error instanceof GlasshouseError || faultKind(error) !== "other";
      if (!isPassing || performance.now() > deadline) throw error;
      await sleep(pauseMs);
    }
  }
}

async function newestCommit(pool: Pool, mark: CommitMark): Promise<number> {
  return pool.with(async (connection) => {
    const { rows } = await connection.query<{ readonly number: number }>(close, [mark.connection]);
    return rows[0]?.number ?? 0;
  });
}
