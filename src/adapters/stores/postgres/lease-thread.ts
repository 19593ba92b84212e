import { parentPort, workerData } from "node:worker_threads";
import { countRenewal } from "../../../domain/lease.ts";
import { noLocks } from "../sql/locks.ts";
import { workers } from "../sql/worker.ts";
import { wordsOf } from "../../../clients/postgres/errors.ts";
import { Hosts } from "../../../clients/postgres/hosts.ts";
import { tsvector } from "./full-text.ts";
import { QueryBuilders } from "./kysely-dialect.ts";
import { LeaseCell, monotonicMs } from "./lease-cell.ts";
import {
  stopWord,
  type LeaseTask,
  type LeaseWord,
  type IdentityWord,
  type UrlWord,
} from "./lease-task.ts";
import { Pool } from "../../../clients/postgres/pool.ts";
import { PostgresSession } from "./session.ts";
import { targetsOf } from "../../../clients/postgres/target.ts";
import { Transaction } from "./transaction.ts";

/**
 * Renews a lease, on a connection of its own, until it is told to stop or the store says that the worker is gone. A renewal
 * that fails is tried again soon; one whose outcome is not known counts as failed, and repeating it does no harm.
 */
function main(task: LeaseTask): void {
  const cell = new LeaseCell(task.buffer);
  const { renewEveryMs, trustedMs } = task.times;
  const limitMs = Math.max(1_000, renewEveryMs / 2);
  const limits = {
    connectMs: limitMs,
    statementMs: limitMs,
    lockMs: limitMs,
    idleInTransactionMs: limitMs,
  };
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  let { url, identity } = task;
  const hosts = new Hosts(() => targetsOf({ ...task, url, ...identity, limits }), silent);
  const pool = new Pool({ size: 1, waitMs: limitMs, silentMs: limitMs, open: () => hosts.open() });
  let timer: NodeJS.Timeout | null = null;
  let renewing: Promise<void> | null = null;
  let isStopped = false;

  const after = (delayMs: number): void => {
    if (isStopped) return;
    timer = setTimeout(
      () => {
        renewing = turn();
      },
      Math.max(0, delayMs),
    );
  };
  const turn = async (): Promise<void> => {
    const before = cell.read();
    try {
      const sentAtMs = await renew(pool, task);
      if (sentAtMs === null) {
        cell.lose();
        return say("lost");
      }
      cell.write(countRenewal(before, task.times, { sentAtMs, answeredAtMs: monotonicMs() }));
      say("renewed");
      after(sentAtMs + renewEveryMs - monotonicMs());
    } catch (error) {
      say({ failed: wordsOf(error) });
      after(Math.min(1_000, (trustedMs - renewEveryMs) / 5));
    }
  };
  after(cell.read().sentAtMs + renewEveryMs - monotonicMs());
  parentPort?.on("message", (word: typeof stopWord | IdentityWord | UrlWord) => {
    if (word === stopWord) return void stop();
    // A connection that works is kept, wherever it goes.
    if ("url" in word) return void (url = word.url);
    identity = word.identity;
    void pool.renew();
  });
  const stop = async (): Promise<void> => {
    isStopped = true;
    if (timer !== null) clearTimeout(timer);
    await renewing;
    await pool.close();
    parentPort?.close();
  };
}

/** When the renewal that was granted was sent; null when the worker is gone. */
async function renew(pool: Pool, { worker, times }: LeaseTask): Promise<number | null> {
  const transaction = new Transaction({ pool, mode: "write", rooms: [] });
  const dialect = {
    lockRow: "",
    turns: new Map<string, string>(),
    packs: false,
    fullText: tsvector,
    unsafeWithoutFence: false,
  };
  const clock = { id: () => "" };
  const builder = new QueryBuilders().take();
  const session = new PostgresSession(
    { transaction, by: transaction, mayClaimInPlace: false, builder, dialect, clock },
    () => noLocks,
  );
  try {
    const sentAtMs = monotonicMs();
    const granted = await workers(session).renew(worker, times.durationMs);
    await transaction.commit();
    return granted ? sentAtMs : null;
  } catch (error) {
    await transaction.rollback();
    throw error;
  } finally {
    session.close();
  }
}

function say(word: LeaseWord): void {
  parentPort?.postMessage(word, []);
}

const given: LeaseTask = workerData;
main(given);
