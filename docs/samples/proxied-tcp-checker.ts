import { connect } from "node:net";
import type { CheckOutcome } from "../../src/domain/check.ts";
import type { Checker } from "../../src/ports/check.ts";

/** Healthy when an HTTP proxy says that it reached the target (CONNECT, RFC 9110): for machines that see the world only through one. */
export function proxiedTcpChecker(proxy: {
  readonly host: string;
  readonly port: number;
}): Checker {
  return {
    kind: "tcp",
    async check(target, { timeoutMs, signal }) {
      if (target.kind !== "tcp") throw new TypeError(`not a tcp target: ${target.kind}`);
      signal.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<CheckOutcome>();
      const unhealthy = (detail: string): void => resolve({ healthy: false, detail });
      const socket = connect(proxy, () => socket.write(asking(target.host, target.port)));
      let answer = "";
      socket.setEncoding("latin1").on("data", (chunk) => {
        answer += String(chunk);
        const status = /^HTTP\/1\.[01] (\d{3}).*\r\n/u.exec(answer)?.[1];
        if (status === "200") resolve({ healthy: true, detail: "connected through the proxy" });
        else if (status !== undefined) unhealthy(`the proxy answers ${status}`);
        else if (answer.length > 1_000) unhealthy("what answers is no HTTP proxy");
      });
      socket.on("error", ({ message }) => unhealthy(`the proxy: ${message}`));
      socket.on("close", () => unhealthy("the proxy closed the connection"));
      const timer = setTimeout(() => unhealthy(`no answer within ${timeoutMs} ms`), timeoutMs);
      const abort = (): void => reject(signal.reason);
      signal.addEventListener("abort", abort);
      try {
        return await promise;
      } finally {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        socket.destroy();
      }
    },
  };
}

function asking(host: string, port: number): string {
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return `CONNECT ${address} HTTP/1.1\r\nHost: ${address}\r\n\r\n`;
}
