import { routeOf, type RunView, type StepView } from "../contract/rest.ts";
import type { Api } from "./api.ts";
import type { Call } from "./call.ts";
import { statusStyle } from "./environment-print.ts";
import { limitOf } from "./options.ts";
import { followRun, reportEnd, waitChoice } from "./follow.ts";
import { heading, printData, printFacts, printList } from "./output.ts";
import { labelOf, plainReason } from "./run-model.ts";
import { tableLines, type Column } from "./table.ts";
import { age, moment, painter, safe, shortTime } from "./text.ts";
import { finishCommand } from "./finish-command.ts";

const columns: readonly Column<RunView>[] = [
  { title: "RUN", value: ({ id }) => id },
  { title: "ENVIRONMENT", value: ({ environmentName }) => environmentName },
  { title: "KIND", value: ({ kind, action }) => (action === null ? kind : `${kind} ${action}`) },
  { title: "STATUS", value: ({ status }) => status, style: ({ status }) => statusStyle(status) },
  { title: "STEPS", value: ({ progress }) => `${progress.done}/${progress.total}` },
  { title: "AGE", value: ({ createdAt }) => age(createdAt, Date.now()) },
  { title: "TOOK", value: (run) => took(run) },
  { title: "PLAN", value: ({ plan }) => plan ?? "", wide: true },
  { title: "REASON", value: ({ reason }) => plainReason(reason ?? "") },
];

function took(of: {
  readonly startedAt: string | null;
  readonly finishedAt: string | null;
}): string {
  if (of.startedAt === null) return "-";
  const end = of.finishedAt === null ? Date.now() : Date.parse(of.finishedAt);
  return shortTime(end - Date.parse(of.startedAt));
}

export async function list(call: Call): Promise<void> {
  const api = await call.api();
  const [environment] = call.args;
  const limit = limitOf(call);
  const found =
    environment === undefined
      ? await ofAll(api, limit)
      : await api.all(routeOf("listEnvironmentRuns"), { params: { environment }, limit });
  printList(call, found.items, {
    columns,
    name: ({ id }) => id,
    empty: "There is no run.",
    more: found.more,
  });
}

/** The API lists runs by environment; here the newest of each are put together. */
async function ofAll(api: Api, limit: number): Promise<{ items: RunView[]; more: boolean }> {
  const environments = await api.all(routeOf("listEnvironments"), {
    query: { destroyed: true },
    limit: 200,
  });
  const runs: RunView[] = [];
  for (const { id } of environments.items) {
    const params = { environment: id };
    const page = await api.all(routeOf("listEnvironmentRuns"), { params, limit: 20 });
    runs.push(...page.items);
  }
  const sorted = runs.toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  return { items: sorted.slice(0, limit), more: sorted.length > limit };
}

const stepColumns: readonly Column<StepView>[] = [
  { title: "STEP", value: (step) => labelOf(step) },
  { title: "PHASE", value: ({ phase }) => phase },
  { title: "STATUS", value: ({ status }) => status, style: ({ status }) => statusStyle(status) },
  { title: "TOOK", value: (step) => took(step) },
  { title: "TRIES", value: ({ attempts }) => String(attempts), wide: true },
  { title: "ID", value: ({ id }) => id, wide: true },
  {
    title: "REASON",
    value: ({ failure, reason }) => plainReason(failure?.message ?? reason ?? ""),
  },
];

export async function show(call: Call): Promise<void> {
  const api = await call.api();
  const params = { run: call.args[0] ?? "" };
  const run = await api.get(routeOf("getRun"), { params });
  const { items } = await api.all(routeOf("listRunSteps"), { params, limit: 20_000 });
  if (printData(call, { ...run, steps: items })) return;
  if (call.format === "name") {
    call.terminal.out(`${run.id}\n`);
    return;
  }
  printRun(call, run);
  const steps = items.filter(({ phase }) => phase !== "barrier");
  if (steps.length === 0) return;
  heading(call, "Steps");
  for (const line of tableLines(call, steps, stepColumns)) call.terminal.out(`${line}\n`);
}

function printRun(call: Call, run: RunView): void {
  const paint = painter(call.terminal, "out");
  const style = statusStyle(run.status);
  const status = style === null ? run.status : paint(style, run.status);
  const reason = run.reason === null ? "" : `  ${safe(plainReason(run.reason))}`;
  call.terminal.out(`${paint("bold", run.id)}  ${status}${reason}\n`);
  const { done, total, failed, skipped } = run.progress;
  printFacts(call, [
    ["environment", run.environmentName],
    ["kind", run.action === null ? run.kind : `${run.kind} ${run.action}`],
    ["template", run.templates.map((use) => `${use.name}@${use.version}`).join(", ")],
    ["steps", `${done} of ${total} done, ${failed} failed, ${skipped} skipped`],
    ["queue", run.position === null ? null : `${run.position} before it`],
    ["waits for", waitsFor(run)],
    ["plan", run.plan],
    ["attempt", run.attempt > 1 ? String(run.attempt) : null],
    ["created", moment(run.createdAt)],
    ["started", moment(run.startedAt)],
    ["finished", moment(run.finishedAt)],
    ["failure", run.failure?.message],
  ]);
}

function waitsFor({ blocker }: RunView): string | null {
  if (blocker === null) return null;
  return `${blocker.kind} ${blocker.on.map((key) => plainReason(key)).join(", ")}`;
}

export async function watch(call: Call): Promise<number> {
  const id = call.args[0] ?? "";
  const api = await call.api();
  const run = await api.get(routeOf("getRun"), { params: { run: id } });
  const title = `${run.kind} ${run.environmentName}`;
  const { timeoutMs } = waitChoice(call);
  const followed = await followRun(call, api, { run: run.id, title, timeoutMs });
  const code = reportEnd(call, run.id, followed);
  if (followed.end === "ended" || followed.end === "waiting") printOutcome(call, followed.run);
  return code;
}

function printOutcome(call: Call, run: RunView): void {
  if (printData(call, run)) return;
  call.terminal.out(call.format === "name" ? `${run.id}\n` : `${run.id}  ${run.status}\n`);
}

export async function ask(
  call: Call,
  what: "cancelRun" | "retryRun" | "approveRun",
): Promise<number> {
  const id = call.args[0] ?? "";
  const api = await call.api();
  const run = await api.get(routeOf("getRun"), { params: { run: id } });
  const acceptLeaks = call.options.list("acceptLeak");
  const command = await api.ask(routeOf(what), {
    params: { run: id },
    ...(acceptLeaks.length === 0 ? {} : { body: { acceptLeaks } }),
  });
  if (what === "cancelRun") return finishCancel(call, api, run);
  return finishCommand(call, api, {
    command: { ...command, run: command.run ?? run.id },
    title: `${what === "retryRun" ? "retry" : "approve"} ${run.environmentName}`,
    name: run.id,
    since: command.createdAt,
    done: async () => printOutcome(call, await api.get(routeOf("getRun"), { params: { run: id } })),
  });
}

/** A cancelled run has ended as it was asked to. */
async function finishCancel(call: Call, api: Api, run: RunView): Promise<number> {
  const { wait, timeoutMs } = waitChoice(call);
  if (!wait) {
    printOutcome(call, await api.get(routeOf("getRun"), { params: { run: run.id } }));
    return 0;
  }
  const title = `cancel ${run.environmentName}`;
  const followed = await followRun(call, api, { run: run.id, title, timeoutMs });
  if (followed.end !== "ended" && followed.end !== "waiting")
    return reportEnd(call, run.id, followed);
  printOutcome(call, followed.run);
  return followed.run.status === "cancelled" ? 0 : 1;
}
