/** A trace of the W3C (https://www.w3.org/TR/trace-context/). */
export interface Trace {
  /** 32 hexadecimal digits. */
  readonly id: string;
  /** W3C trace context that the command carries on. */
  readonly parent: string;
}

const form = /^[0-9a-f]{2}-(?<id>[0-9a-f]{32})-(?<span>[0-9a-f]{16})-[0-9a-f]{2}$/u;

/** Null unless it is a trace context of the W3C's form; all zeros are none. */
export function parseTrace(given: unknown): Trace | null {
  if (typeof given !== "string") return null;
  const parts = form.exec(given)?.groups;
  const id = parts?.["id"] ?? "";
  if (/^0*$/u.test(id) || /^0*$/u.test(parts?.["span"] ?? "")) return null;
  return { id, parent: given };
}
