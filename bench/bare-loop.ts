import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { engineRun } from "./graph-overhead.ts";
import { chain } from "./graphs.ts";
import { median, type Row } from "./measure.ts";

const steps = 1_000;
const pairs = 3;

/** B2 a: a chain of durable steps against the least that durability costs: a loop of one small commit a step. */
export async function durableChain(): Promise<readonly Row[]> {
  const ratios: number[] = [];
  for (let pair = 0; pair < pairs; pair += 1) {
    const bare = bareLoopMs();
    const ours = await engineRun(chain(steps), () => Promise.resolve());
    ratios.push(bare / ours.makespanMs);
  }
  const value = median(ratios);
  return [
    {
      name: "chain of 1,000 durable steps, rate",
      value,
      unit: "× bare one-commit-a-step loop",
      target: "≥ 0.6",
      ok: value >= 0.6,
    },
  ];
}

/** Ends a step and writes that it ended, with raw statements and FULL durability, as often as the chain has steps. */
function bareLoopMs(): number {
  const directory = mkdtempSync(join(tmpdir(), "glasshouse-bench-"));
  const database = new DatabaseSync(join(directory, "bare.db"));
  try {
    database.exec(
      "pragma journal_mode = wal; pragma synchronous = full; create table step (id integer primary key, status text); create table event (id integer primary key, data text)",
    );
    const insert = database.prepare("insert into step (id, status) values (?, 'ready')");
    database.exec("begin");
    for (let id = 0; id < steps; id += 1) insert.run(id);
    database.exec("commit");
    const end = database.prepare("update step set status = 'succeeded' where id = ?");
    const tell = database.prepare("insert into event (data) values (?)");
    const begun = performance.now();
    for (let id = 0; id < steps; id += 1) {
      database.exec("begin immediate");
      end.run(id);
      tell.run(`{"step":${id},"status":"succeeded"}`);
      database.exec("commit");
    }
    return performance.now() - begun;
  } finally {
    database.close();
    rmSync(directory, { recursive: true });
  }
}
