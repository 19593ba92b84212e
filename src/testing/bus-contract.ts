import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { JournalEvent } from "../domain/event.ts";
import type { Bus, BusMessage, BusNotice, Verdict } from "../ports/bus.ts";

/** A bus of a case's own, with what stands outside of it. */
export interface OpenBus {
  /** Started. */
  readonly bus: Bus;
  /** Sends a command as a program outside does; resolves when the bus has it. */
  readonly offer: (text: string, more?: Partial<BusMessage>) => Promise<void>;
  /** Bodies that come to a queue of answers; and the events, in the queue `events`. */
  readonly listen: (queue: "answers" | "events") => Promise<readonly string[]>;
  /** The name under which answers find the queue `answers`. */
  readonly answers: string;
  close(): Promise<void>;
}

interface ContractCase {
  readonly title: string;
  run(open: OpenBus): Promise<void>;
}

/** Every promise in the comments of `ports/bus`. Every bus runs it. */
export function busContract(name: string, open: () => Promise<OpenBus>): void {
  void describe(`the bus ${name}`, () => {
    for (const each of cases)
      void it(each.title, async () => {
        const opened = await open();
        try {
          await each.run(opened);
        } finally {
          await opened.close();
        }
      });
  });
}

const taken: Verdict = { outcome: "taken", reply: null };

const cases: readonly ContractCase[] = [
  {
    title: "gives each command to whoever takes it, once when nothing goes wrong, as it was sent",
    async run({ bus, offer, answers }) {
      const seen: BusMessage[] = [];
      bus.consume(async (message) => {
        seen.push(message);
        return taken;
      });
      for (const text of ["one", "two", "three"])
        await offer(text, { replyTo: answers, correlationId: `c-${text}` });
      await until(() => seen.length === 3);
      await sleep(100);
      assert.deepEqual(seen.map(({ body }) => textOf(body)).toSorted(), ["one", "three", "two"]);
      for (const { body, replyTo, correlationId } of seen)
        assert.deepEqual([replyTo, correlationId], [answers, `c-${textOf(body)}`]);
    },
  },
  {
    title: "answers with the correlation that was asked for, after the verdict",
    async run({ bus, offer, listen, answers }) {
      const heard = await listen("answers");
      bus.consume(async ({ body, correlationId }) => ({
        outcome: "taken",
        reply: answerTo(answers, textOf(body), correlationId),
      }));
      await offer("one", { replyTo: answers, correlationId: "7" });
      await until(() => heard.length === 1);
      assert.match(heard[0] ?? "", /"sourceId":"one"/u);
    },
  },
  {
    title: "keeps a command that cannot be taken now, and gives it again",
    async run({ bus, offer }) {
      const tries = new Map<string, number>();
      bus.consume(async ({ body }) => {
        const count = (tries.get(textOf(body)) ?? 0) + 1;
        tries.set(textOf(body), count);
        const error = new Error("not now");
        return count < 4 ? { outcome: "again", error, otherwise: null } : taken;
      });
      for (const text of ["one", "two"]) await offer(text);
      await until(() => tries.get("one") === 4 && tries.get("two") === 4);
    },
  },
  {
    title: "lays down what is parked, counts it by reason, and gives it again when it is redriven",
    async run({ bus, offer }) {
      const seen: string[] = [];
      let isMended = false;
      bus.consume(async ({ body }) => {
        seen.push(textOf(body));
        const reason = textOf(body).startsWith("a") ? "red" : "blue";
        return isMended ? taken : { outcome: "parked", reason, detail: "on purpose", reply: null };
      });
      for (const text of ["a1", "b1", "a2"]) await offer(text);
      const all = { reason: null, limit: 100, dryRun: true };
      const counted = await until(async () => {
        const { moved, left, reasons } = await bus.redrive(all);
        return moved === 3 && { moved, left, reasons };
      });
      assert.deepEqual(counted, { moved: 3, left: 3, reasons: { red: 2, blue: 1 } });
      assert.equal(seen.length, 3);
      isMended = true;
      const moved = await bus.redrive({ reason: "red", limit: 100, dryRun: false });
      assert.deepEqual([moved.moved, moved.left], [2, 1]);
      await until(() => seen.length === 5);
      assert.deepEqual(seen.slice(3).toSorted(), ["a1", "a2"]);
      await until(async () => (await bus.redrive(all)).left === 1);
      assert.equal((await bus.redrive({ reason: null, limit: 1, dryRun: false })).moved, 1);
      await until(() => seen.includes("b1") && seen.length === 6);
    },
  },
  {
    title: "sends events in the order of the calls, also of calls that overlap",
    async run({ bus, listen }) {
      const heard = await listen("events");
      const calls = Array.from({ length: 20 }, (_none, call) =>
        bus.publish(Array.from({ length: 50 }, (_same, n) => anEvent(call * 50 + n + 1))),
      );
      const outcomes = (await Promise.all(calls)).flat();
      assert.ok(outcomes.every((outcome) => outcome === "sent"));
      await until(() => heard.length === 1_000);
      const sequences = heard.map((text) => Number(/"sequence":(\d+)/u.exec(text)?.[1]));
      assert.deepEqual(
        sequences,
        Array.from({ length: 1_000 }, (_none, n) => n + 1),
      );
    },
  },
  {
    title: "says of an answer that nobody takes that it came back, and sends the rest",
    async run({ bus, listen, answers }) {
      const heard = await listen("answers");
      const notices: readonly BusNotice[] = [
        { kind: "reply", reply: answerTo("nobody.at.all", "one", null) },
        { kind: "reply", reply: answerTo(answers, "two", null) },
        anEvent(1),
      ];
      assert.deepEqual(await bus.publish(notices), ["returned", "sent", "sent"]);
      await until(() => heard.length === 1);
      assert.match(heard[0] ?? "", /"sourceId":"two"/u);
    },
  },
  {
    title: "takes nothing more once it was told so, and ends what it had taken",
    async run({ bus, offer }) {
      const begun: string[] = [];
      const ended: string[] = [];
      const gate = Promise.withResolvers<void>();
      bus.consume(async ({ body }) => {
        begun.push(textOf(body));
        await gate.promise;
        ended.push(textOf(body));
        return taken;
      });
      await offer("one");
      await until(() => begun.length === 1);
      const stopped = bus.stopConsuming();
      await sleep(50);
      await offer("two");
      gate.resolve();
      await stopped;
      await sleep(200);
      assert.deepEqual([begun, ended], [["one"], ["one"]]);
      assert.equal((await bus.status()).status, "up");
    },
  },
];

function answerTo(queue: string, sourceId: string, correlationId: string | null) {
  const failure = { code: "not-found", message: "There is no such thing." } as const;
  const none = { source: null, type: null, subject: null };
  return {
    to: { queue, correlationId },
    about: { status: "refused", sourceId, failure, ...none },
    time: "2026-01-31T12:00:00.000Z",
  } as const;
}

function anEvent(sequence: number): BusNotice {
  const event: JournalEvent = {
    id: `evt_${sequence}`,
    position: sequence,
    type: "environment.ok",
    environmentId: "env_1",
    sequence,
    subject: "environments/shop",
    data: { name: "shop" },
    commandId: null,
    runId: null,
    stepId: null,
    time: "2026-01-31T12:00:00.000Z",
  };
  return { kind: "event", event, origin: null };
}

function textOf(body: Uint8Array): string {
  return Buffer.from(body).toString("utf8");
}

async function until<T>(look: () => T | false | Promise<T | false>): Promise<T> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const found = await look();
    if (found !== false) return found;
    if (Date.now() > deadline) throw new Error("it did not come to pass");
    await sleep(10);
  }
}
