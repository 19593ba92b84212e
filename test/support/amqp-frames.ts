import type { Lens } from "./proxy.ts";

/** Frame header: type, channel, size (https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, 4.2.3); one byte ends it. */
const headerBytes = 7;
const methodFrame = 1;
const basicClass = 60;
/** Of the class `basic` (1.8 of the same). */
const methods = { "consume-ok": 21, ack: 80, nack: 120 } as const;

/**
 * Takes these methods out of what a broker sends, frame by frame, while `lost` says so; all else passes, so the connection
 * stays whole. Give it to `TcpProxy.see` for the direction to the client. `taken` is called for each.
 */
export function without(
  names: readonly (keyof typeof methods)[],
  lost: () => boolean,
  taken: () => void = () => undefined,
): Lens {
  const numbers = new Set<number>(names.map((name) => methods[name]));
  return () => {
    let rest: Buffer = Buffer.alloc(0);
    return (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      const passed: Buffer[] = [];
      for (;;) {
        const length = frameLength(rest);
        if (length === null || rest.length < length) return Buffer.concat(passed);
        const frame = rest.subarray(0, length);
        rest = rest.subarray(length);
        if (numbers.has(basicMethod(frame) ?? 0) && lost()) taken();
        else passed.push(frame);
      }
    };
  };
}

function frameLength(bytes: Buffer): number | null {
  if (bytes.length < headerBytes) return null;
  return headerBytes + bytes.readUInt32BE(3) + 1;
}

function basicMethod(frame: Buffer): number | null {
  if (frame[0] !== methodFrame || frame.length < headerBytes + 4) return null;
  return frame.readUInt16BE(headerBytes) === basicClass
    ? frame.readUInt16BE(headerBytes + 2)
    : null;
}
