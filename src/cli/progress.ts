import { plainReason, type RunModel, type ShownStep } from "./run-model.ts";
import type { Terminal } from "./terminal.ts";
import { cut, pad, painter, safe, shortTime, type Style } from "./text.ts";

/** Shows a run on stderr while it goes. */
export interface Progress {
  /** Steps that have just changed. */
  changed(steps: readonly ShownStep[]): void;
  /** A line beside the steps. */
  say(text: string): void;
  end(): void;
}

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const frameMs = 120;
const mostLive = 12;

/** On a terminal the running steps move below those that ended; elsewhere each start and end is a line. */
export function newProgress(
  terminal: Terminal,
  model: RunModel,
  of: { readonly title: string; readonly nowMs?: () => number },
): Progress {
  const nowMs = of.nowMs ?? Date.now;
  const moving = terminal.errIsTerminal && terminal.env["TERM"] !== "dumb";
  return moving
    ? new MovingProgress(terminal, model, { title: of.title, nowMs })
    : plainProgress(terminal, nowMs);
}

interface Look {
  readonly sign: string;
  readonly style: Style;
  readonly word: string;
}

const looks: Readonly<Partial<Record<ShownStep["status"], Look>>> = {
  succeeded: { sign: "✔", style: "green", word: "succeeded" },
  failed: { sign: "✖", style: "red", word: "failed" },
  skipped: { sign: "-", style: "dim", word: "skipped" },
  cancelled: { sign: "-", style: "yellow", word: "cancelled" },
  waiting: { sign: "?", style: "yellow", word: "waits" },
  unknown: { sign: "?", style: "yellow", word: "is looked at" },
};

function plainProgress(terminal: Terminal, nowMs: () => number): Progress {
  return {
    changed: (steps) => {
      for (const step of steps) {
        const words = plainWords(step, nowMs());
        if (words !== null) terminal.err(`${safe(step.label)} ${safe(words)}\n`);
      }
    },
    say: (text) => terminal.err(`${safe(text)}\n`),
    end: () => undefined,
  };
}

function plainWords(step: ShownStep, nowMs: number): string | null {
  if (step.status === "running")
    return step.attempts > 1 ? `started (attempt ${step.attempts})` : "started";
  if (isTriedAgain(step))
    return `is tried again: ${plainReason(step.failure ?? step.reason ?? "")}`;
  const look = looks[step.status];
  if (look === undefined) return null;
  const time = step.startedAt === null ? "" : ` after ${timeOf(step, nowMs)}`;
  return `${look.word}${time}${because(step)}`;
}

/** It waits for its next attempt. What is only away (a registry, a full disk) makes it wait without counting an attempt. */
function isTriedAgain(step: ShownStep): boolean {
  return step.status === "ready" && (step.attempts > 0 || step.failure !== null);
}

function because(step: ShownStep): string {
  const why = step.status === "succeeded" ? null : (step.failure ?? step.reason);
  return why === null || why === "" ? "" : `: ${plainReason(why)}`;
}

function timeOf({ startedAt, finishedAt }: ShownStep, nowMs: number): string {
  if (startedAt === null) return "";
  const end = finishedAt === null ? nowMs : Date.parse(finishedAt);
  return shortTime(end - Date.parse(startedAt));
}

class MovingProgress implements Progress {
  readonly #terminal: Terminal;
  readonly #model: RunModel;
  readonly #title: string;
  readonly #nowMs: () => number;
  readonly #timer: NodeJS.Timeout;
  #frame = 0;
  #liveLines = 0;

  constructor(
    terminal: Terminal,
    model: RunModel,
    of: { readonly title: string; readonly nowMs: () => number },
  ) {
    this.#terminal = terminal;
    this.#model = model;
    this.#title = of.title;
    this.#nowMs = of.nowMs;
    this.#timer = setInterval(() => this.#tick(), frameMs);
  }

  changed(steps: readonly ShownStep[]): void {
    const lines = steps.flatMap((step) => this.#endedLine(step));
    this.#draw(lines);
  }

  say(text: string): void {
    this.#draw([cut(safe(text), this.#room())]);
  }

  end(): void {
    clearInterval(this.#timer);
    this.#terminal.err(this.#erase());
  }

  #tick(): void {
    this.#frame += 1;
    this.#draw([]);
  }

  /** Takes the moving lines away, writes those that stay, and the moving ones again below, in one piece. */
  #draw(staying: readonly string[]): void {
    const erase = this.#erase();
    const live = this.#live();
    this.#liveLines = live.length;
    this.#terminal.err(erase + [...staying, ...live].map((line) => `${line}\n`).join(""));
  }

  #erase(): string {
    const up = this.#liveLines === 0 ? "" : `\u001B[${this.#liveLines}A\r\u001B[0J`;
    this.#liveLines = 0;
    return up;
  }

  #room(): number {
    return Math.max(20, this.#terminal.columns() - 1);
  }

  #endedLine(step: ShownStep): readonly string[] {
    const look = looks[step.status];
    if (look === undefined) return [];
    const paint = painter(this.#terminal, "err");
    const time = timeOf(step, this.#nowMs());
    const text = `${pad(safe(step.label), this.#labelWidth())}  ${pad(time, 6)} ${safe(because(step).replace(/^: /u, ""))}`;
    return [`${paint(look.style, look.sign)} ${cut(text.trimEnd(), this.#room() - 2)}`];
  }

  #labelWidth(): number {
    const labels = [...this.#model.steps.values()].slice(0, 500);
    return Math.min(40, Math.max(8, ...labels.map((step) => step.label.length)));
  }

  #live(): readonly string[] {
    const paint = painter(this.#terminal, "err");
    const running = [...this.#model.steps.values()].filter(
      (step) => step.status === "running" || isTriedAgain(step),
    );
    const most = Math.max(1, Math.min(mostLive, this.#terminal.rows() - 3));
    const sign = frames[this.#frame % frames.length] ?? "";
    const lines = running.slice(0, most).map((step) => {
      const again = step.attempts > 1 ? ` attempt ${step.attempts}` : "";
      const time = pad(timeOf(step, this.#nowMs()), 6);
      const detail = isTriedAgain(step) ? (plainWords(step, this.#nowMs()) ?? "") : step.detail;
      const text = `${pad(safe(step.label), this.#labelWidth())}  ${time}${again} ${safe(detail)}`;
      return `${paint("cyan", sign)} ${cut(text.trimEnd(), this.#room() - 2)}`;
    });
    const rest = running.length - lines.length;
    if (rest > 0) lines.push(paint("dim", `  and ${rest} more`));
    return [...lines, paint("dim", cut(this.#status(), this.#room()))];
  }

  #status(): string {
    const { progress, status, reason, stage } = this.#model.run;
    const steps = progress.total === 0 ? "" : `  ${progress.done}/${progress.total}`;
    const why = reason === null ? "" : `  ${safe(plainReason(reason))}`;
    const what = stage === "checks" && status === "running" ? "checks" : status;
    return `${this.#title}  ${what}${steps}${why}`;
  }
}
