import { randomBytes } from "node:crypto";
import type { FastifyRequest } from "fastify";
import { parseTrace, type Trace } from "../../lib/trace-context.ts";

const traces = new WeakMap<FastifyRequest, Trace>();

/** The trace of a request: that of its `traceparent`, or a new one. The same for the whole request. */
export function traceOf(request: FastifyRequest): Trace {
  const known = traces.get(request);
  if (known !== undefined) return known;
  const trace = parseTrace(request.headers["traceparent"]) ?? newTrace();
  traces.set(request, trace);
  return trace;
}

function newTrace(): Trace {
  const id = randomBytes(16).toString("hex");
  return { id, parent: `00-${id}-${randomBytes(8).toString("hex")}-01` };
}
