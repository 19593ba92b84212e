import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";
import type { AsyncMessage } from "rabbitmq-client";
import { deadLetterOf, incomingOf, type Self } from "./message.ts";
import type { Outbound } from "./publisher.ts";

const death = { reason: "invalid-request", detail: "d", time: "2026-01-01T00:00:00Z" } as const;

describe("who sent a message that was laid down", () => {
  test("is known under whatever name the service comes later", () => {
    const laid = received(deadLetterOf(sent("alice"), death, service("first")));
    for (const user of ["first", "second"])
      assert.equal(incomingOf(laid, service(user)).sender, "alice");
  });

  test("is whom the broker vouches for when somebody else has written it", () => {
    const laid = received(deadLetterOf(sent("alice"), death, service("first")));
    const mallory = { ...laid, userId: "mallory" };
    assert.equal(
      incomingOf({ ...mallory, body: Buffer.from("other") }, service("second")).sender,
      "mallory",
    );
    const renamed = { ...laid.headers, "glasshouse-sender": "bob" };
    assert.equal(incomingOf({ ...mallory, headers: renamed }, service("second")).sender, "mallory");
    const bare = { ...laid.headers, "glasshouse-proof": undefined };
    assert.equal(incomingOf({ ...mallory, headers: bare }, service("second")).sender, "mallory");
    const other = service("second", "another key");
    assert.equal(incomingOf(mallory, other).sender, "mallory");
  });
});

function service(user: string, key = "key"): Self {
  return { user, prove: (text) => createHmac("sha256", key).update(text).digest("hex") };
}

function sent(userId: string): AsyncMessage {
  return {
    body: Buffer.from("command"),
    consumerTag: "c",
    deliveryTag: 1,
    durable: true,
    exchange: "glasshouse.commands",
    redelivered: false,
    routingKey: "environment.create",
    userId,
  };
}

/** As the broker gives it to whoever takes it. */
function received({ envelope, body }: Outbound): AsyncMessage {
  return { ...sent(envelope.userId ?? ""), headers: envelope.headers ?? {}, body };
}
