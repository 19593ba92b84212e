import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { TestServer } from "./server.ts";

/** A command as its sender knows it. */
export interface Order {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly ifsequence?: number;
}

/** What became of it, as far as its sender was told. Times are of the monotonic clock. */
export interface Sent extends Order {
  /** `confirmed`: the broker has it, and nothing more is known. */
  readonly answer: "accepted" | "refused" | "confirmed";
  /** Why it was refused. */
  readonly code: string | null;
  /** The service's id of the command. */
  readonly command: string | null;
  readonly run: string | null;
  readonly beganMs: number;
  readonly answeredMs: number;
  /** How often it was sent until there was an answer. */
  readonly tries: number;
}

const answered = z.object({
  id: z.string(),
  run: z.string().nullable(),
  status: z.string(),
});
const problem = z.object({ code: z.string() });

/** Gives commands over REST and keeps its own log of what was answered. */
export class RestPublisher {
  readonly source: string;
  readonly log: Sent[] = [];
  readonly #servers: () => readonly TestServer[];
  readonly #random: () => number;

  constructor(of: {
    readonly source: string;
    readonly servers: () => readonly TestServer[];
    readonly random: () => number;
  }) {
    this.source = of.source;
    this.#servers = of.servers;
    this.#random = of.random;
  }

  /** Sends it to some server, again and again with the same id, until one accepts or refuses it. */
  async send(order: Order, limitMs = 120_000): Promise<Sent> {
    const beganMs = performance.now();
    for (let tries = 1; performance.now() - beganMs < limitMs; tries += 1) {
      const answer = await this.#try(order);
      if (answer === null) {
        await sleep(50 + this.#random() * 200);
        continue;
      }
      const sent = { ...order, ...answer, beganMs, answeredMs: performance.now(), tries };
      this.log.push(sent);
      return sent;
    }
    throw new Error(`${order.type} ${order.id} had no answer in ${limitMs} ms`);
  }

  /** Null: no answer, or one that asks to come again. */
  async #try(order: Order): Promise<Pick<Sent, "answer" | "code" | "command" | "run"> | null> {
    const servers = this.#servers();
    const server = servers[Math.floor(this.#random() * servers.length)];
    const body = { ...order, source: this.source };
    const answer = await server
      ?.send("POST", "/api/v1/commands", { body, limitMs: 10_000 })
      .catch(() => null);
    if (answer === null || answer === undefined) return null;
    if (answer.status === 429 || answer.status >= 500) return null;
    if (answer.status < 300) {
      const { id, run } = answered.parse(answer.body);
      return { answer: "accepted", code: null, command: id, run };
    }
    return { answer: "refused", code: problem.parse(answer.body).code, command: null, run: null };
  }
}
