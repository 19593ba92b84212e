import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { busLimits } from "../../contract/bus.ts";
import type { Command } from "../../domain/command.ts";
import { GlasshouseError, StoreFault, type ErrorCode } from "../../domain/errors.ts";
import type { BusMessage, Verdict } from "../../ports/bus.ts";
import type { CommandRequest } from "../../services/effect.ts";
import { FakeClock } from "../../testing/fake-clock.ts";
import { takeMessage } from "./command.ts";

const plain = { specversion: "1.0", id: "1", source: "https://ci.example.com", type: "run.cancel" };

interface Asked {
  readonly message?: Partial<BusMessage>;
  /** What the services answer. */
  readonly fails?: unknown;
}

function quiet(): void {
  // What it has to say is in the verdict.
}

async function take(
  body: unknown,
  { message, fails }: Asked = {},
): Promise<{ readonly verdict: Verdict; readonly requests: readonly CommandRequest[] }> {
  const clock = new FakeClock();
  const requests: CommandRequest[] = [];
  const api = {
    clock,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    async find() {
      return commandOf(requests[0], "refused");
    },
    async accept(request: CommandRequest) {
      requests.push(request);
      if (fails !== undefined) throw fails;
      return commandOf(request, "accepted");
    },
  };
  const bytes = body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
  const verdict = await takeMessage(api, {
    body: bytes,
    contentType: "application/cloudevents+json; charset=utf-8",
    replyTo: "answers",
    correlationId: "7",
    sender: null,
    traceparent: null,
    ...message,
  });
  return { verdict, requests };
}

function commandOf(request: CommandRequest | undefined, status: Command["status"]): Command {
  return {
    id: "cmd_1",
    source: request?.source ?? "",
    sourceId: request?.id ?? "",
    type: "run.cancel",
    subject: request?.subject ?? null,
    bodyHmac: "",
    data: {},
    status,
    failure: null,
    environmentId: null,
    templateId: null,
    runId: "run_1",
    planId: null,
    actor: request?.actor ?? "",
    sender: request?.sender ?? null,
    reply: request?.reply ?? null,
    correlationId: null,
    traceparent: null,
    createdAt: "",
    finishedAt: null,
  };
}

function failing(code: ErrorCode): GlasshouseError {
  return new GlasshouseError(code, "On purpose.");
}

suite("a message of the bus", () => {
  test("becomes a command with all that its attributes and properties say, and is answered", async () => {
    const trace = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    const { verdict, requests } = await take(
      {
        ...plain,
        subject: "run_1",
        data: { run: "run_1" },
        actor: "alice",
        deadline: "2026-01-31T12:00:00Z",
        correlationid: "c",
        ifsequence: 4,
        unknownextension: true,
      },
      { message: { sender: "ci", traceparent: trace } },
    );
    assert.deepEqual(requests, [
      {
        source: plain.source,
        id: "1",
        type: "run.cancel",
        subject: "run_1",
        data: { run: "run_1" },
        actor: "alice",
        sender: "ci",
        reply: { queue: "answers", correlationId: "7" },
        traceparent: trace,
        correlationId: "c",
        deadline: "2026-01-31T12:00:00Z",
        ifSequence: 4,
      },
    ]);
    assert.equal(verdict.outcome, "taken");
    assert.equal(verdict.reply?.about.status, "accepted");
  });

  test("is for its sender when it names nobody, and is not answered when nobody waits", async () => {
    const { verdict, requests } = await take(plain, { message: { sender: "ci", replyTo: null } });
    assert.equal(requests[0]?.actor, "ci");
    assert.equal(requests[0].reply, null);
    assert.deepEqual(verdict, { outcome: "taken", reply: null });
    assert.equal((await take(plain)).requests[0]?.actor, "bus");
  });

  test("that is refused by the present state is answered as the inbox has it, and done with", async () => {
    const { verdict } = await take(plain, { fails: failing("not-found") });
    assert.equal(verdict.outcome, "taken");
    const about = verdict.reply?.about;
    assert.ok(about !== undefined && "id" in about && about.status === "refused");
  });

  const parked: readonly (readonly [string, unknown, Asked?])[] = [
    ["not-json", Buffer.from("{")],
    ["not-json", Buffer.from([0xff])],
    ["not-json", Buffer.from(`${"[".repeat(65)}${"]".repeat(65)}`)],
    ["not-a-command", []],
    ["not-a-command", { ...plain, source: undefined }],
    ["not-a-command", { ...plain, deadline: "tomorrow" }],
    ["not-a-command", plain, { message: { contentType: "text/html" } }],
    ["foreign-source", { ...plain, source: "glasshouse" }],
    ["too-large", Buffer.alloc(busLimits.messageBytes + 1, 32)],
    ["invalid-request", plain, { fails: failing("invalid-request") }],
    ["command-reused", plain, { fails: failing("command-reused") }],
    ["too-many", plain, { fails: failing("too-many") }],
    ["internal", plain, { fails: new TypeError("a fault") }],
  ];
  for (const [at, [reason, body, asked]] of parked.entries())
    test(`is laid down as ${reason} and answered (${at + 1})`, async () => {
      const { verdict } = await take(body, asked);
      assert.equal(verdict.outcome, "parked");
      assert.equal(verdict.reason, reason);
      assert.equal(verdict.reply?.about.status, "refused");
      assert.deepEqual(verdict.reply.to, { queue: "answers", correlationId: "7" });
    });

  test("whose answer would go to the service itself, or to no name of a queue, is laid down without one", async () => {
    for (const replyTo of ["glasshouse.commands", "glasshouse.x", "q".repeat(256)]) {
      const { verdict, requests } = await take(plain, { message: { replyTo } });
      assert.deepEqual(requests, []);
      assert.ok(verdict.outcome === "parked" && verdict.reason === "foreign-reply-to");
      assert.equal(verdict.reply, null);
    }
  });

  test("waits as long as it takes when nothing can be stored, and for a while when only its own need is down", async () => {
    const ofStore = (["unavailable", "invalid-configuration"] as const).map(
      (code) => new StoreFault(code, "the store says no"),
    );
    for (const fails of [...ofStore, failing("storage-full")]) {
      const { verdict } = await take(plain, { fails });
      assert.ok(verdict.outcome === "again" && verdict.otherwise === null, fails.code);
    }
    const own = (await take(plain, { fails: failing("unavailable") })).verdict;
    assert.ok(own.outcome === "again" && own.otherwise?.reason === "unavailable");
  });
});
