import { connect } from "node:net";
import type { CheckOutcome } from "../../../domain/check.ts";
import type { Checker } from "../../../ports/check.ts";

/** Healthy when a connection is accepted. Nothing is sent; it is closed at once. As with HTTP, a failed look is a result: one try. */
export const tcpChecker: Checker = {
  kind: "tcp",
  async check(target, { timeoutMs, signal }) {
    if (target.kind !== "tcp") throw new TypeError(`not a tcp target: ${target.kind}`);
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<CheckOutcome>();
    const socket = connect({ host: target.host, port: target.port });
    const timer = setTimeout(
      () => resolve({ healthy: false, detail: `no connection within ${timeoutMs} ms` }),
      timeoutMs,
    );
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort);
    socket.once("connect", () => resolve({ healthy: true, detail: "connected" }));
    socket.on("error", (error) => resolve({ healthy: false, detail: reasonOf(error) }));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      socket.destroy();
    }
  },
};

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code: unknown = "code" in error ? error.code : undefined;
  if (code === "ECONNREFUSED") return "connection refused";
  if (code === "ENOTFOUND") return "the host name is not known";
  // Several addresses were tried: the first error stands for all.
  if (error instanceof AggregateError) return reasonOf(error.errors[0]);
  return error.message;
}
