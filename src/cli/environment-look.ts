import {
  routeOf,
  type ChangeView,
  type CheckView,
  type CommandView,
  type PlanView,
} from "../contract/rest.ts";
import type { Api } from "./api.ts";
import type { Call } from "./call.ts";
import { ServerError } from "./failure.ts";
import { getEnvironment, parametersOf, templateOf } from "./environment-change.ts";
import { statusStyle } from "./environment-print.ts";
import { followRun, reportEnd, runOfCommand, waitChoice } from "./follow.ts";
import { printData, printList } from "./output.ts";
import { readParameters } from "./parameters.ts";
import { labelOf } from "./run-model.ts";
import { alignedLines, type Column } from "./table.ts";
import { moment, painter, safe, type Style } from "./text.ts";
import { finishCommand, sendCommand } from "./finish-command.ts";

/** Looks, and says no more than how it ended. */
export async function refresh(call: Call): Promise<number> {
  return lookNow(call, await call.api());
}

/** Sends a look at the environment and waits for its end. */
async function lookNow(call: Call, api: Api): Promise<number> {
  const name = call.args[0] ?? "";
  const command = await sendCommand(api, { type: "environment.refresh", subject: name });
  const run = await runOfCommand(api, command);
  if (run === null) return 0;
  const { timeoutMs } = waitChoice(call);
  return reportEnd(
    call,
    run,
    await followRun(call, api, { run, title: `look at ${name}`, timeoutMs }),
  );
}

export async function drift(call: Call): Promise<number> {
  const api = await call.api();
  const code = await lookNow(call, api);
  if (code !== 0) return code;
  const params = { environment: call.args[0] ?? "" };
  const found = await api.get(routeOf("getEnvironmentDrift"), { params });
  if (!printData(call, found)) {
    const drifted = found.groups.filter((group) => group.drift !== "none");
    const lines = alignedLines(
      call,
      drifted.map(({ group, drift: state }) => [
        { text: group },
        { text: state, style: statusStyle(state) },
      ]),
    );
    for (const [at, group] of drifted.entries()) {
      call.terminal.out(`${lines[at] ?? ""}\n`);
      printChanges(call, group.changes);
    }
    if (drifted.length === 0) call.terminal.out("No drift.\n");
  }
  return found.drifted ? 6 : 0;
}

const actions: Readonly<Record<ChangeView["action"], readonly [string, Style]>> = {
  create: ["+", "green"],
  update: ["~", "yellow"],
  replace: ["±", "yellow"],
  destroy: ["-", "red"],
  none: [" ", "dim"],
};

function printChanges(call: Call, changes: readonly ChangeView[]): void {
  const paint = painter(call.terminal, "out");
  for (const change of changes) {
    const [sign, style] = actions[change.action];
    if (change.action !== "none")
      call.terminal.out(`    ${paint(style, `${sign} ${safe(change.address)}`)}\n`);
  }
}

export async function plan(call: Call): Promise<number> {
  const name = call.args[0] ?? "";
  const api = await call.api();
  const { command, run } = await askForPlan(call, api, name);
  const { timeoutMs } = waitChoice(call);
  if (run !== null) {
    const followed = await followRun(call, api, { run, title: `plan ${name}`, timeoutMs });
    const code = reportEnd(call, run, followed);
    if (code !== 0) return code;
  }
  const done = await api.get(routeOf("getCommand"), { params: { command: command.id } });
  const made = await api.get(routeOf("getPlan"), { params: { plan: done.plan ?? "" } });
  if (call.format === "name") call.terminal.out(`${made.id}\n`);
  else if (!printData(call, made)) printPlan(call, made);
  return made.steps.some((step) => step.mark !== "unchanged" && isWork(step)) ? 6 : 0;
}

async function askForPlan(
  call: Call,
  api: Api,
  name: string,
): Promise<{ readonly command: CommandView; readonly run: string | null }> {
  try {
    const data = await planData(call, api);
    const command = await sendCommand(api, { type: "environment.plan", subject: name, data });
    return { command, run: await runOfCommand(api, command) };
  } catch (error) {
    const isUnknown = error instanceof ServerError && error.code === "not-found";
    if (!isUnknown || call.options.list("template").length > 0) throw error;
    throw new ServerError({
      ...error.problem,
      advice:
        "`glasshouse env list` shows what exists; to plan an environment that does not exist yet, name its template with --template.",
    });
  }
}

async function planData(call: Call, api: Api): Promise<object> {
  const templates = call.options.list("template");
  const reset = call.options.list("reset");
  const needsTypes = call.options.list("param").length > 0;
  const template = async (): Promise<string> =>
    templates[0] ?? templateOf(await getEnvironment(api, call.args[0] ?? ""));
  const parameters = await readParameters(
    call,
    needsTypes ? await parametersOf(api, await template()) : {},
  );
  return {
    ...(templates[0] === undefined ? {} : { template: templates[0] }),
    ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
    ...(reset.length === 0 ? {} : { reset }),
  };
}

function isWork({ phase }: PlanView["steps"][number]): boolean {
  return ["apply", "destroy", "secret", "certificate"].includes(phase);
}

const marks: Readonly<Record<PlanView["steps"][number]["mark"], Style>> = {
  exact: "yellow",
  deferred: "cyan",
  unchanged: "dim",
  destroy: "red",
};

function printPlan(call: Call, made: PlanView): void {
  const steps = made.steps.filter((one) => isWork(one));
  const lines = alignedLines(
    call,
    steps.map(({ phase, group, key, mark, reason }) => [
      { text: labelOf({ phase, group, key }) },
      { text: mark, style: marks[mark] },
      { text: reason === mark ? "" : reason },
    ]),
  );
  for (const [at, step] of steps.entries()) {
    call.terminal.out(`${lines[at] ?? ""}\n`);
    printChanges(call, step.changes);
  }
  const counts = Object.entries(made.summary ?? {}).filter(([, count]) => count > 0);
  const summary = counts.map(([mark, count]) => `${count} ${mark}`).join(", ");
  call.terminal.out(`\nPlan ${made.id}: ${summary === "" ? "nothing to do" : summary}\n`);
  call.terminal.err(
    `\`glasshouse env apply ${made.id}\` does exactly this, until ${moment(made.expiresAt)}.\n`,
  );
}

const checkColumns: readonly Column<CheckView>[] = [
  { title: "CHECK", value: ({ key }) => key },
  { title: "STATUS", value: ({ status }) => status, style: ({ status }) => statusStyle(status) },
  { title: "TARGET", value: ({ target }) => target },
  { title: "SEEN", value: ({ detail, lost }) => (lost === null ? detail : `${detail} (${lost})`) },
  { title: "AT", value: ({ checkedAt }) => moment(checkedAt), wide: true },
];

export async function validate(call: Call): Promise<number> {
  const name = call.args[0] ?? "";
  const api = await call.api();
  const command = await sendCommand(api, { type: "environment.validate", subject: name });
  const done = async (): Promise<number> => {
    const { items } = await api.get(routeOf("listEnvironmentChecks"), {
      params: { environment: name },
    });
    const empty = `${name} has no checks.`;
    printList(call, items, { columns: checkColumns, name: ({ key }) => key, empty });
    return items.some(({ status }) => status === "failing") ? 1 : 0;
  };
  return finishCommand(call, api, { command, title: `validate ${name}`, name, done });
}
