import { randomBytes } from "node:crypto";
import type { FastifyRequest } from "fastify";

export interface Trace {
  /** 32 hexadecimal digits. */
  readonly id: string;
  /** W3C trace context that the command carries on. */
  readonly parent: string;
}

const form = /^[0-9a-f]{2}-(?<id>[0-9a-f]{32})-(?<span>[0-9a-f]{16})-[0-9a-f]{2}$/u;
const traces = new WeakMap<FastifyRequest, Trace>();

/** The trace of a request: that of its `traceparent`, or a new one. The same for the whole request. */
export function traceOf(request: FastifyRequest): Trace {
  const known = traces.get(request);
  if (known !== undefined) return known;
  const trace = parseTrace(request.headers["traceparent"]) ?? newTrace();
  traces.set(request, trace);
  return trace;
}

/** Null unless it is a trace context of the W3C's form; all zeros are none. */
export function parseTrace(given: unknown): Trace | null {
  if (typeof given !== "string") return null;
  const parts = form.exec(given)?.groups;
  const id = parts?.["id"] ?? "";
  if (/^0*$/u.test(id) || /^0*$/u.test(parts?.["span"] ?? "")) return null;
  return { id, parent: given };
}

function newTrace(): Trace {
  const id = randomBytes(16).toString("hex");
  return { id, parent: `00-${id}-${randomBytes(8).toString("hex")}-01` };
}
