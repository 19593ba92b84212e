import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { GlasshouseError } from "../../../domain/errors.ts";
import type { Log } from "../../../ports/telemetry.ts";
import { createLog, type LogOptions } from "./index.ts";

function logged(options: Partial<LogOptions>, speak: (log: Log) => void): readonly string[] {
  const lines: string[] = [];
  speak(
    createLog({ level: "info", format: "json", ...options, write: (line) => lines.push(line) }),
  );
  return lines;
}

describe("the log", () => {
  test("writes a JSON object a line, with time, level, message and fields", () => {
    const [line = ""] = logged({}, (log) => log.info("ready", { port: 8080 }));
    const { time, ...rest } = JSON.parse(line);
    assert.match(String(time), /^\d{4}-\d\d-\d\dT.*Z$/u);
    assert.deepEqual(rest, { level: "info", message: "ready", port: 8080 });
    assert.ok(line.endsWith("}\n"));
  });

  test("leaves out what is below its level", () => {
    const lines = logged({ level: "warn" }, (log) => {
      log.debug("a");
      log.info("b");
      log.warn("c");
      log.error("d");
    });
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).message),
      ["c", "d"],
    );
  });

  test("masks members that look like secrets at any depth, and not a fencing token", () => {
    const [line = ""] = logged({}, (log) =>
      log.info("x", {
        token: 7,
        outer: { dbPassword: "hunter2", headers: [{ Authorization: "Bearer abc" }] },
        API_KEY: "k123",
      }),
    );
    assert.doesNotMatch(line, /hunter2|Bearer abc|k123/u);
    assert.equal(JSON.parse(line).token, 7);
    assert.equal(JSON.parse(line).outer.dbPassword, "(secret)");
  });

  test("spells out an error with its code, stack and cause", () => {
    const error = new GlasshouseError("internal", "broken", { cause: new Error("disk") });
    const [line = ""] = logged({}, (log) => log.error("failed", { error }));
    const written = JSON.parse(line).error;
    assert.equal(written.code, "internal");
    assert.match(written.stack, /index\.test\.ts/u);
    assert.equal(written.cause.message, "disk");
  });

  test("names every error that one stands for", () => {
    const refused = new AggregateError([
      new Error("refused by ::1"),
      new Error("refused by 127.0.0.1"),
    ]);
    const [line = ""] = logged({}, (log) => log.warn("away", { error: refused }));
    assert.deepEqual(
      JSON.parse(line).error.errors.map(({ message }: Error) => message),
      ["refused by ::1", "refused by 127.0.0.1"],
    );
  });

  test("survives a time that is none", () => {
    const [line = ""] = logged({}, (log) => log.info("x", { at: new Date(Number.NaN) }));
    assert.equal(JSON.parse(line).at, null);
  });

  test("survives circles, big integers and bytes", () => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    const [line = ""] = logged({}, (log) =>
      log.info("x", { circle, big: 5n, bytes: new Uint8Array(3) }),
    );
    assert.equal(JSON.parse(line).big, "5");
    assert.equal(JSON.parse(line).bytes, "3 bytes");
  });

  test("writes a single line for people that cannot steer their terminal", () => {
    const [line = ""] = logged({ format: "pretty" }, (log) =>
      log.warn("two\nlines \u001B[31m", { a: 1, b: "c" }),
    );
    assert.match(line, /^\d\d:\d\d:\d\d\.\d{3} WARN {2}two\\u000alines \\u001b\[31m a=1 b=c\n$/u);
  });
});
