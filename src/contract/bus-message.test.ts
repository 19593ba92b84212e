import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { JournalEvent } from "../domain/event.ts";
import { busEvent, busLimits, busReply } from "./bus.ts";
import { encodeEvent, encodeReply, mayReplyTo } from "./bus-message.ts";

const event: JournalEvent = {
  id: "evt_1",
  position: 7,
  type: "environment.ok",
  environmentId: "env_1",
  sequence: 3,
  subject: "environments/shop",
  data: { name: "shop", status: "deployed-ok" },
  commandId: "cmd_1",
  runId: null,
  stepId: null,
  time: "2026-01-31T12:00:00.000Z",
};

function parsed(body: Buffer): unknown {
  return JSON.parse(body.toString("utf8"));
}

suite("an event on the bus", () => {
  test("is a CloudEvent with what its command was sent with, routed by type and environment", () => {
    const origin = { traceparent: "00-1", correlationId: "c" };
    const { routingKey, body, attributes } = encodeEvent(event, origin);
    assert.equal(routingKey, "environment.ok.shop");
    const told = busEvent.parse(parsed(body));
    assert.deepEqual(told.data, event.data);
    assert.deepEqual([told.traceparent, told.correlationid, told.sequence], ["00-1", "c", 3]);
    assert.ok(!("data" in attributes));
  });

  test("of no environment has - for its name", () => {
    const global = { ...event, environmentId: null, subject: "templates/shop@1.0.0" };
    assert.equal(encodeEvent(global, null).routingKey, "environment.ok.-");
  });

  test("that is larger than a message may be keeps what is small, and says where the rest is", () => {
    const parts = Object.fromEntries(
      Array.from({ length: 8 }, (_none, n) => [`part${n}`, "ü".repeat(30_000)]),
    );
    const { body } = encodeEvent({ ...event, data: { name: "shop", ...parts } }, null);
    assert.ok(body.length < busLimits.messageBytes);
    const { data } = busEvent.parse(parsed(body));
    assert.deepEqual(data, { name: "shop", dataref: "/api/v1/events?after=6&limit=1" });
  });
});

suite("an answer", () => {
  test("to what did not become a command says as much of it as could be read", () => {
    const failure = {
      code: "invalid-request",
      message: "No.",
      details: Array.from({ length: 5_000 }, () => ({ message: "x".repeat(100) })),
    } as const;
    const about = {
      status: "refused",
      source: "s",
      sourceId: "1",
      type: null,
      subject: null,
      failure,
    } as const;
    const to = { queue: "answers", correlationId: "7" };
    const { body, routingKey } = encodeReply({ to, about, time: event.time });
    assert.equal(routingKey, "answers");
    assert.ok(body.length < busLimits.messageBytes);
    const { type, data } = busReply.parse(parsed(body));
    assert.equal(type, "command.refused");
    assert.deepEqual(data.error, { code: "invalid-request", message: "No." });
  });

  test("never goes to a queue of the service itself", () => {
    assert.deepEqual(
      ["a", "amq.rabbitmq.reply-to.g1", "", "glasshouse.commands", "x".repeat(256)].map((queue) =>
        mayReplyTo(queue),
      ),
      [true, true, false, false, false],
    );
  });
});
