import { backoff } from "../lib/backoff.ts";
import { isAborted, pause } from "./pause.ts";

/** How long a request is sent again that finds no server, or one that says "not now". */
export interface PatienceLimits {
  /** While the server has never answered: it may be restarting, or not be there at all. */
  readonly firstMs: number;
  /** Once it has: then it comes back, and what waits for it must not break. */
  readonly laterMs: number;
}

export const patienceLimits: PatienceLimits = { firstMs: 2_000, laterMs: 30_000 };

/** What a failed try says about another one. */
export interface NotNow {
  readonly error: Error;
  /** For people: why it waits. */
  readonly why: string;
  /** What the server asks for; null when it did not answer. */
  readonly afterMs: number | null;
}

/** The only place where a request is sent again. A restart of the server, or of one of several, passes unnoticed. */
export class Patience {
  readonly #limits: PatienceLimits;
  readonly #say: (line: string) => void;
  #hasAnswered = false;

  constructor(limits: PatienceLimits, say: (line: string) => void) {
    this.#limits = limits;
    this.#say = say;
  }

  /**
   * Runs `send` until it gives an answer that is not "not now", or until the time is up: then throws what was in the way. Only for
   * what is safe to send twice; anything else is sent `once`. The signal ends the waiting.
   */
  async answer<T>(
    send: () => Promise<T | NotNow>,
    { once, signal }: { readonly once: boolean; readonly signal?: AbortSignal },
  ): Promise<T> {
    const startedAtMs = performance.now();
    for (let attempt = 1; ; attempt += 1) {
      const answer = await send();
      if (!isNotNow(answer)) {
        this.#hasAnswered = true;
        return answer;
      }
      if (answer.afterMs !== null) this.#hasAnswered = true;
      const mostMs = this.#hasAnswered ? this.#limits.laterMs : this.#limits.firstMs;
      const leftMs = startedAtMs + mostMs - performance.now();
      const ownMs = backoff({ attempt, baseMs: 200, mostMs: 2_000, random: Math.random() });
      const waitMs = Math.max(ownMs, answer.afterMs ?? 0);
      if (once || waitMs > leftMs) throw answer.error;
      if (attempt === 1)
        this.#say(`${answer.why.replace(/\.$/u, "")}; trying again for up to ${mostMs / 1000} s`);
      await pause(waitMs, signal ?? new AbortController().signal);
      if (signal !== undefined && isAborted(signal)) throw answer.error;
    }
  }
}

function isNotNow(answer: unknown): answer is NotNow {
  return typeof answer === "object" && answer !== null && "why" in answer && "afterMs" in answer;
}
