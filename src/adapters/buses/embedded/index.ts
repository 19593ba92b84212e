import { setTimeout as sleep } from "node:timers/promises";
import { encodeEvent, encodeReply, type EncodedMessage } from "../../../contract/bus-message.ts";
import { backoff } from "../../../lib/backoff.ts";
import type {
  Bus,
  BusMessage,
  BusNotice,
  BusStatus,
  PublishOutcome,
  RedriveRequest,
  Redriven,
  Verdict,
} from "../../../ports/bus.ts";

const mostDead = 1_000;
const mostWaiting = 10_000;
/** Tries of a command that only itself is in the way of; some ten seconds. */
const longEnough = 10;

/**
 * No broker: commands come by REST, which needs no queue, and notifications are the journal, which streams and lists read. What
 * is in this process may offer commands and listen; it holds nothing that outlives the process.
 */
export class EmbeddedBus implements Bus {
  readonly kind = "embedded";
  readonly #waiting: BusMessage[] = [];
  readonly #dead: { readonly message: BusMessage; readonly reason: string }[] = [];
  readonly #listeners = new Map<string, (message: EncodedMessage) => void>();
  readonly #stopping = new AbortController();
  #take: ((message: BusMessage) => Promise<Verdict>) | null = null;
  #working: Promise<void> | null = null;

  async start(): Promise<void> {
    // There is nothing to connect to.
  }

  consume(take: (message: BusMessage) => Promise<Verdict>): void {
    this.#take = take;
    this.#wake();
  }

  async stopConsuming(): Promise<void> {
    this.#take = null;
    this.#stopping.abort();
    await this.#working;
  }

  /** Puts a message behind those that wait. False when there are too many. */
  offer(message: BusMessage): boolean {
    if (this.#waiting.length >= mostWaiting) return false;
    this.#waiting.push(message);
    this.#wake();
    return true;
  }

  /** Hears the answers to a queue, or all events under `events`. The returned function ends it. */
  listen(queue: string, fn: (message: EncodedMessage) => void): () => void {
    this.#listeners.set(queue, fn);
    return () => this.#listeners.delete(queue);
  }

  async publish(notices: readonly BusNotice[]): Promise<readonly PublishOutcome[]> {
    return notices.map((notice) => this.#send(notice));
  }

  async status(): Promise<BusStatus> {
    const [commands, dead] = [this.#waiting.length, this.#dead.length];
    const detail = "embedded: commands come by REST, events are read from the journal";
    return { status: "up", detail, latencyMs: 0, advice: null, commands, dead };
  }

  async redrive({ reason, limit, dryRun }: RedriveRequest): Promise<Redriven> {
    const reasons: Record<string, number> = {};
    const wanted = this.#dead
      .filter((one) => reason === null || one.reason === reason)
      .slice(0, limit);
    for (const one of this.#dead) reasons[one.reason] = (reasons[one.reason] ?? 0) + 1;
    if (!dryRun)
      for (const one of wanted) {
        this.#dead.splice(this.#dead.indexOf(one), 1);
        this.offer(one.message);
      }
    return { moved: wanted.length, left: this.#dead.length, reasons };
  }

  async close(): Promise<void> {
    await this.stopConsuming();
    this.#listeners.clear();
  }

  #send(notice: BusNotice): PublishOutcome {
    const isEvent = notice.kind === "event";
    const encoded = isEvent ? encodeEvent(notice.event, notice.origin) : encodeReply(notice.reply);
    const listener = this.#listeners.get(isEvent ? "events" : encoded.routingKey);
    listener?.(encoded);
    return isEvent || listener !== undefined ? "sent" : "returned";
  }

  #wake(): void {
    if (this.#working !== null || this.#take === null || this.#waiting.length === 0) return;
    this.#working = this.#work().finally(() => {
      this.#working = null;
      this.#wake();
    });
  }

  async #work(): Promise<void> {
    for (let attempt = 1; this.#take !== null;) {
      const [message] = this.#waiting;
      if (message === undefined) return;
      const verdict = await this.#take(message);
      if (verdict.outcome === "again" && (attempt < longEnough || verdict.otherwise === null)) {
        const restMs = backoff({ attempt, baseMs: 50, mostMs: 5_000, random: Math.random() });
        await sleep(restMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
        attempt += 1;
        continue;
      }
      attempt = 1;
      this.#waiting.shift();
      const decided = verdict.outcome === "again" ? verdict.otherwise : verdict;
      if (decided?.outcome === "parked") this.#park(message, decided.reason);
      if (decided?.reply != null) this.#send({ kind: "reply", reply: decided.reply });
    }
  }

  #park(message: BusMessage, reason: string): void {
    this.#dead.push({ message, reason });
    if (this.#dead.length > mostDead) this.#dead.shift();
  }
}
