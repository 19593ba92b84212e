import { setTimeout as sleep } from "node:timers/promises";
import type { CrashSite } from "./crash.ts";
import type { TestServer } from "./server.ts";

export interface RandomKills {
  /** Kills that are still to be done in all; the run is let go on when they are used up. */
  readonly kills: number;
  readonly random: () => number;
  /** A server lives at most so long. */
  readonly mostMs: number;
}

export interface KilledRun {
  readonly server: TestServer;
  readonly run: string;
  readonly status: string;
  readonly reason: string | null;
  /** Kills that came before the run had settled. */
  readonly killed: number;
}

const limitMs = 240_000;

/** Creates the environment while its server is killed again and again at random moments, until the run has settled. */
export async function createUnderKills(site: CrashSite, of: RandomKills): Promise<KilledRun> {
  for (let killed = 0; ; killed += 1) {
    const server = await site.start();
    const settling = site
      .create(server)
      .then(async (run) => ({ server, run, killed, ...(await settledOf(server, run)) }));
    if (killed >= of.kills) return settling;
    const settled = settling.catch(async (error: unknown) => {
      // Only a server that is gone may refuse.
      await Promise.race([server.ended, sleep(5_000).then(() => Promise.reject(error))]);
      return null;
    });
    const won = await Promise.race([settled, sleep(of.random() * of.mostMs, null)]);
    if (won !== null) return won;
    server.kill();
    await server.ended;
    await settled;
  }
}

async function settledOf(
  server: TestServer,
  run: string,
): Promise<Pick<KilledRun, "status" | "reason">> {
  const { status, reason } = await server.settled(run, limitMs);
  return { status, reason };
}

/** A random sequence that its seed gives again (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** From `CRASH_SEED`, else a new one. */
export function chooseSeed(): number {
  return Number(process.env["CRASH_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
}
