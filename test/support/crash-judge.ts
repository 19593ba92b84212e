import { readdir, readFile, readlink } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Ledger } from "./ledger.ts";
import type { TestServer } from "./server.ts";

/** What the world must look like: all groups made once, all made and taken down once, or what another judge than the ledger says. */
export type Wanted = "created" | "destroyed" | "judged elsewhere";

interface Case {
  readonly server: TestServer;
  readonly runId: string;
  readonly wanted: Wanted;
  readonly at: {
    readonly directory: string;
    readonly data: string;
    readonly serverPids: readonly number[];
  };
  readonly site: { readonly ledger: Ledger; readonly subject: { readonly groups: number } };
}

/** All that breaks a promise: the run's end, the ledger, left processes, gaps in the journal, finished steps that ran again. */
export async function complaintsAbout(of: Case): Promise<readonly string[]> {
  const run = await of.server.run(of.runId);
  const ended =
    run.status === "succeeded"
      ? []
      : [`the run is ${run.status}: ${run.reason ?? "without a reason"}`];
  return [
    ...ended,
    ...(await ledgerComplaints(of)),
    ...(await journalComplaints(of.server)),
    ...(await leftOver(of.at)),
  ];
}

async function ledgerComplaints({ site, wanted }: Case): Promise<readonly string[]> {
  if (wanted === "judged elsewhere") return [];
  const names = Array.from({ length: site.subject.groups }, (_, index) => `g${index}`);
  const created = await site.ledger.created();
  const destroyed = await site.ledger.destroyed();
  return names.flatMap((name) => {
    const [made, taken] = [created.get(name) ?? 0, destroyed.get(name) ?? 0];
    const right = made === 1 && taken === (wanted === "destroyed" ? 1 : 0);
    return right ? [] : [`${name} was created ${made} times and destroyed ${taken} times`];
  });
}

const eventSchema = z.object({
  type: z.string(),
  sequence: z.int(),
  position: z.int(),
  stepid: z.string().optional(),
  commandid: z.string().optional(),
});
const pageSchema = z.object({ items: z.array(eventSchema) });
export type JournalEvent = z.output<typeof eventSchema>;

export async function journalOf(
  server: TestServer,
  environment: string,
): Promise<readonly JournalEvent[]> {
  const all: JournalEvent[] = [];
  for (;;) {
    const after = all.at(-1)?.position ?? 0;
    const path = `/api/v1/environments/${environment}/events?after=${after}&limit=200`;
    const { items } = pageSchema.parse(await server.request("GET", path));
    if (items.length === 0) return all;
    all.push(...items);
  }
}

async function journalComplaints(server: TestServer): Promise<readonly string[]> {
  return journalFaults(await journalOf(server, "judged"));
}

/** Gaps and doubles in the sequence, and steps of which anything is told after they had ended well. */
export function journalFaults(events: readonly JournalEvent[]): readonly string[] {
  const gaps = events
    .filter((event, index) => event.sequence !== index + 1)
    .slice(0, 1)
    .map(({ sequence, type }) => `the journal has a gap before event ${sequence} (${type})`);
  const done = new Set<string>();
  const again: string[] = [];
  for (const { type, stepid } of events) {
    if (stepid === undefined || !type.startsWith("step.")) continue;
    if (done.has(stepid)) again.push(`step ${stepid} had succeeded, and then came ${type}`);
    if (type === "step.succeeded" || type === "step.skipped") done.add(stepid);
  }
  return events.length === 0 ? ["the journal is empty"] : [...gaps, ...again];
}

const patienceMs = 5_000;

/** Processes that belong to the test's directory, by command line, environment or working directory, other than the server. */
export async function leftOver(at: Case["at"]): Promise<readonly string[]> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const found = await processesOf(at);
    if (found.length === 0 || Date.now() > deadline) return found;
    await sleep(100);
  }
}

async function processesOf({
  directory,
  data,
  serverPids,
}: Case["at"]): Promise<readonly string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/u.test(name));
  const known = [...serverPids, process.pid].map(String);
  const found = await Promise.all(
    pids
      .filter((pid) => !known.includes(pid))
      .map(async (pid) => {
        const [line, environment, folder] = await Promise.all([
          readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""),
          readFile(`/proc/${pid}/environ`, "utf8").catch(() => ""),
          readlink(`/proc/${pid}/cwd`).catch(() => ""),
        ]);
        const all = [line, environment, folder].join("\0");
        const ours = all.includes(directory) || all.includes(data);
        return ours ? `process ${pid} is left over: ${line.replaceAll("\0", " ")}` : "";
      }),
  );
  return found.filter((line) => line !== "");
}
