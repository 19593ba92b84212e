import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { environmentView } from "../../src/contract/rest-environment.ts";
import { runView } from "../../src/contract/rest-run.ts";
import type { Findings } from "./chaos.ts";
import type { Cluster } from "./cluster.ts";
import { journalFaults, journalOf, leftOver } from "./crash-judge.ts";
import type { LedgerEntry } from "./ledger.ts";
import type { Sent } from "./publisher.ts";
import type { TestServer } from "./server.ts";

type EnvironmentView = z.output<typeof environmentView>;
type RunView = z.output<typeof runView>;

const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next: z.string().nullable() });
const environmentsPage = pageOf(environmentView);
const runsPage = pageOf(runView);

/** Every environment that there is or was. */
export async function environmentsOf(server: TestServer): Promise<readonly EnvironmentView[]> {
  return pages(environmentsPage, server, "/api/v1/environments?destroyed=true");
}

export async function runsOf(server: TestServer, environment: string): Promise<readonly RunView[]> {
  return pages(runsPage, server, `/api/v1/environments/${environment}/runs?`);
}

async function pages<T>(
  schema: z.ZodType<{ readonly items: readonly T[]; readonly next: string | null }>,
  server: TestServer,
  path: string,
): Promise<readonly T[]> {
  const all: T[] = [];
  let cursor = "";
  for (;;) {
    const page = schema.parse(await server.request("GET", `${path}&limit=200${cursor}`));
    all.push(...page.items);
    if (page.next === null) return all;
    cursor = `&cursor=${encodeURIComponent(page.next)}`;
  }
}

/** Waits until no run is queued or running. Gives those that still are when the time is over. */
export async function settle(server: TestServer, limitMs: number): Promise<readonly string[]> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const going: string[] = [];
    for (const { id, name } of await environmentsOf(server))
      for (const run of await runsOf(server, id))
        if (run.status === "queued" || run.status === "running")
          going.push(`${run.kind} of ${name} is ${run.status}: ${run.reason ?? "no reason"}`);
    if (going.length === 0 || performance.now() > deadline) return going;
    await sleep(250);
  }
}

export interface Judged {
  readonly sent: readonly Sent[];
  /** Groups of each environment. */
  readonly groups: number;
  /** Runs have so long to come to their end once the faults are over. */
  readonly settleMs?: number;
}

/**
 * Judges a cluster after the faults, when all its replicas run: waits until nothing is under way, then compares the outside
 * ledger with what is wanted, the inbox with the sender's log, the journal with itself, and looks for what was left over.
 */
export async function judge(cluster: Cluster, of: Judged): Promise<Findings> {
  await cluster.reading();
  const server = cluster.any;
  const stuck = [...(await settle(server, of.settleMs ?? 90_000))];
  const environments = await environmentsOf(server);
  const entries = await cluster.ledger.entries();
  const found = {
    lost: [] as string[],
    doubled: [] as string[],
    orphans: [] as string[],
    broken: [] as string[],
  };
  const known = new Map(environments.map((environment) => [environment.id, environment]));
  for (const [id, own] of byEnvironment(entries)) {
    const environment = known.get(id);
    if (environment === undefined)
      found.orphans.push(`${own[0]?.environment} (${id}) is in the ledger only`);
  }
  for (const environment of environments) {
    const waiting = (await runsOf(server, environment.id)).filter(
      ({ status }) => status === "waiting",
    );
    stuck.push(
      ...waiting
        .filter(({ reason }) => (reason ?? "") === "")
        .map(({ id }) => `run ${id} waits without a reason`),
    );
    const own = entries.filter(({ environmentId }) => environmentId === environment.id);
    const judged = judgeEnvironment(environment, {
      entries: own,
      groups: of.groups,
      waits: waiting.length > 0,
    });
    found.doubled.push(...judged.doubled);
    found.lost.push(...judged.lost);
    found.orphans.push(...judged.orphans);
    const faults = journalFaults(await journalOf(server, environment.id));
    found.broken.push(
      ...faults.map((fault) => `${environment.name} (${environment.id}): ${fault}`),
    );
  }
  found.lost.push(...(await lostCommands(server, of.sent)));
  const serverPids = cluster.living.map(({ pid }) => pid);
  const { directory } = cluster;
  found.broken.push(...(await leftOver({ directory, data: directory, serverPids })));
  return { ...found, stuck };
}

function byEnvironment(
  entries: readonly LedgerEntry[],
): ReadonlyMap<string, readonly LedgerEntry[]> {
  return Map.groupBy(entries, ({ environmentId }) => environmentId);
}

interface EnvironmentCase {
  readonly entries: readonly LedgerEntry[];
  readonly groups: number;
  /** A run of it waits with a reason: it need not be as is wanted. */
  readonly waits: boolean;
}

/** Replays the ledger: nothing is made when it is there, taken down when it is not, and the end is what is wanted. */
export function judgeEnvironment(
  {
    id,
    name,
    status,
    reason,
    parameters,
  }: Pick<EnvironmentView, "id" | "name" | "status" | "reason" | "parameters">,
  { entries, groups, waits }: EnvironmentCase,
): Pick<Findings, "lost" | "doubled" | "orphans"> {
  const there = new Map<string, string>();
  const doubled: string[] = [];
  for (const { what, group, value } of entries) {
    const now = there.get(group);
    const wrong =
      (what === "created" && now !== undefined) ||
      (what === "updated" && now === value) ||
      (what === "destroyed" && now === undefined);
    if (wrong)
      doubled.push(
        `${name}.${group} (${id}) was ${what} with ${value} when it was ${now ?? "absent"}`,
      );
    if (what === "destroyed") there.delete(group);
    else there.set(group, value);
  }
  const none = { doubled, lost: [], orphans: [] };
  if (waits) return none;
  const where = `${name} (${id}) is ${status}`;
  if (status === "destroyed")
    return { ...none, orphans: [...there.keys()].map((group) => `${where} and ${group} is there`) };
  if (status !== "deployed-ok") return { ...none, lost: [`${where}: ${reason ?? "no reason"}`] };
  const wanted = parameters["value"] ?? "-";
  const missing = Array.from({ length: groups }, (_, at) => `g${at}`).filter(
    (group) => there.get(group) !== wanted,
  );
  return {
    ...none,
    lost: missing.map(
      (group) =>
        `${where}: ${group} is ${there.get(group) ?? "absent"}, not ${JSON.stringify(wanted)}`,
    ),
  };
}

const commandSchema = z.object({ status: z.string(), sourceId: z.string() });

/** Accepted commands that the service does not know, or that have come to no end. */
async function lostCommands(server: TestServer, sent: readonly Sent[]): Promise<readonly string[]> {
  const lost: string[] = [];
  for (const { id, type, command } of sent) {
    if (command === null) continue;
    const answer = await server.send("GET", `/api/v1/commands/${command}`);
    const known = answer.status === 200 ? commandSchema.parse(answer.body) : null;
    if (known?.sourceId !== id)
      lost.push(`${type} ${id} was accepted as ${command} and is not known`);
    else if (known.status === "accepted")
      lost.push(`${type} ${id} (${command}) has come to no end`);
  }
  return lost;
}
