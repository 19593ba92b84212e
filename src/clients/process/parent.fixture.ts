import { startChild, type ChildSpec } from "./child.ts";
import { detectIsolation, type IsolationKind } from "./isolation.ts";
import type { Child } from "./warden.ts";

/**
 * A server to be killed, for tests: starts `count` children of the kind that its first argument describes, lets them go
 * if asked, says their identities in one line and stays.
 */
export interface ParentOrder {
  readonly among: readonly IsolationKind[];
  readonly spec: ChildSpec;
  readonly count: number;
  readonly go: boolean;
  /** Interrupt them after this time. */
  readonly interruptAfterMs?: number;
}

const order: ParentOrder = JSON.parse(process.argv[2] ?? "{}");
const isolation = await detectIsolation(order.among);
const children: Child[] = [];
for (let n = 0; n < order.count; n += 1) {
  const outputFile = `${order.spec.outputFile}.${n}`;
  children.push(await startChild(isolation, { ...order.spec, outputFile }));
}
if (order.go) for (const child of children) child.go();
process.stdout.write(`${JSON.stringify(children.map((child) => child.identity))}\n`);
if (order.interruptAfterMs !== undefined)
  setTimeout(() => children.forEach((child) => child.interrupt()), order.interruptAfterMs);
setInterval(() => undefined, 60_000);
