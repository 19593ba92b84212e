import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import type { TestPostgres } from "../test/support/postgres.ts";

const run = promisify(execFile);
const folder = join(import.meta.dirname, "peers");

/** Durable engines that run beside ours on the same PostgreSQL, each in a process and a database of its own. */
export const peers = ["dbos", "graphile-worker", "pg-boss"] as const;
export type Peer = (typeof peers)[number];

/** A peer begins no run after so long: its rate is known by then. */
const mostSeconds = 60;

/** So many runs of so many steps that do nothing, so many at once: steps a second. */
export async function peerRate(
  postgres: TestPostgres,
  peer: Peer,
  work: { readonly runs: number; readonly steps: number; readonly inFlight: number },
): Promise<number> {
  const { runs, steps, inFlight } = work;
  const printed = await measure(postgres, peer, ["runs", runs, steps, inFlight, mostSeconds]);
  const done = z.object({ runs: z.number(), seconds: z.number() }).parse(printed);
  return (done.runs * steps) / done.seconds;
}

/** One run of so many steps in a row: what one hop takes. */
export async function peerHopMs(
  postgres: TestPostgres,
  peer: Peer,
  steps: number,
): Promise<number> {
  const printed = await measure(postgres, peer, ["chain", steps]);
  return z.object({ hopMs: z.number() }).parse(printed).hopMs;
}

/** From asking for a run until its first step is entered, one at a time, with rests between. */
export async function peerStartsMs(
  postgres: TestPostgres,
  peer: Peer,
  times: number,
): Promise<readonly number[]> {
  const printed = await measure(postgres, peer, ["start", times]);
  return z.object({ startMs: z.array(z.number()) }).parse(printed).startMs;
}

async function measure(
  postgres: TestPostgres,
  peer: Peer,
  [workload, ...counts]: readonly [string, ...number[]],
): Promise<unknown> {
  installPeers();
  const database = await postgres.createDatabase();
  try {
    const args = [workload, postgres.url(database), ...counts.map(String)];
    const { stdout } = await run(process.execPath, [join(folder, "run.mjs"), peer, ...args], {
      timeout: 300_000,
    });
    return JSON.parse(stdout);
  } finally {
    await postgres.dropDatabase(database);
  }
}

/** The peers are no dependencies of the project: they are installed when they are first measured. */
function installPeers(): void {
  if (existsSync(join(folder, "node_modules"))) return;
  const done = spawnSync("npm", ["ci"], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  if (done.status !== 0) throw new Error("The peers could not be installed: npm ci in bench/peers");
}
