import { routeOf, type LogLineView, type StepView } from "../contract/rest.ts";
import { logLineView } from "../contract/rest-run.ts";
import type { Api } from "./api.ts";
import type { Call } from "./call.ts";
import { UsageError } from "./failure.ts";
import { pause } from "./pause.ts";
import { isEnded, labelOf } from "./run-model.ts";
import { painter, pad, safe, type Style } from "./text.ts";

const pageSize = 5_000;
const pollMs = 500;
const prefixStyles: readonly Style[] = ["cyan", "green", "yellow", "bold"];

/** Prints the lines of a run's steps, each with its step's name; with `--follow` until the run has ended. */
export async function printLogs(call: Call): Promise<number> {
  const api = await call.api();
  const run = call.args[0] ?? "";
  const follow = call.options.flag("follow");
  const stop = new AbortController();
  const forget = follow ? call.terminal.onInterrupt(() => stop.abort()) : (): void => undefined;
  const seen = new Map<string, number>();
  try {
    for (;;) {
      // Read before the lines: what an ended run has written is there.
      const { status } = await api.get(routeOf("getRun"), { params: { run } });
      const steps = await stepsOf(call, api, run);
      const width = Math.max(0, ...steps.map((step) => labelOf(step).length));
      for (const [index, step] of steps.entries())
        await printNew(call, api, { step, seen, prefix: prefixOf(call, step, { index, width }) });
      if (!follow || isEnded({ status })) return 0;
      await pause(pollMs, stop.signal);
      if (stop.signal.aborted) return 130;
    }
  } finally {
    forget();
  }
}

async function stepsOf(call: Call, api: Api, run: string): Promise<readonly StepView[]> {
  const { items } = await api.all(routeOf("listRunSteps"), { params: { run }, limit: 20_000 });
  const wanted = call.options.text("step");
  const started = items.filter((step) => step.startedAt !== null && step.phase !== "barrier");
  if (wanted === undefined) return started;
  const found = items.filter((step) => [step.id, step.key, step.group].includes(wanted));
  if (found.length > 0) return found;
  const names = items.flatMap((step) => (step.phase === "barrier" ? [] : [labelOf(step)]));
  throw new UsageError(
    `The run has no step ${wanted}${names.length === 0 ? "" : `; it has ${names.slice(0, 20).join(", ")}`}.`,
  );
}

function prefixOf(
  call: Call,
  step: StepView,
  { index, width }: { readonly index: number; readonly width: number },
): string {
  if (call.options.text("step") !== undefined) return "";
  const style = prefixStyles[index % prefixStyles.length] ?? "cyan";
  return `${painter(call.terminal, "out")(style, `${pad(safe(labelOf(step)), width)} │`)} `;
}

async function printNew(
  call: Call,
  api: Api,
  of: { readonly step: StepView; readonly seen: Map<string, number>; readonly prefix: string },
): Promise<void> {
  for (;;) {
    const lines = await linesAfter(api, of.step.id, of.seen.get(of.step.id) ?? 0);
    for (const line of lines) call.terminal.out(`${of.prefix}${safe(line.text)}\n`);
    const last = lines.at(-1);
    if (last !== undefined) of.seen.set(of.step.id, last.number);
    if (lines.length < pageSize) return;
  }
}

async function linesAfter(api: Api, step: string, after: number): Promise<readonly LogLineView[]> {
  const response = await api.send(routeOf("getStepLog"), {
    params: { step },
    query: { after, limit: pageSize },
    accept: "application/jsonl",
  });
  const text = await response.text();
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => logLineView.parse(JSON.parse(line)));
}
