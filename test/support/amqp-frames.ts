import type { Look } from "./proxy-pipe.ts";

/** Frame header: type, channel, size (https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, 4.2.3); one byte ends it. */
const headerBytes = 7;
const methodFrame = 1;
const basicClass = 60;
const ackMethod = 80;
const nackMethod = 120;

/**
 * Takes the broker's confirms out of what it sends, frame by frame, while `lost` says so; all else passes, so the connection
 * stays whole. Give it to `TcpProxy.see` for the direction to the client.
 */
export function withoutConfirms(lost: () => boolean): () => Look {
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
        if (!(lost() && isConfirm(frame))) passed.push(frame);
      }
    };
  };
}

function frameLength(bytes: Buffer): number | null {
  if (bytes.length < headerBytes) return null;
  return headerBytes + bytes.readUInt32BE(3) + 1;
}

function isConfirm(frame: Buffer): boolean {
  if (frame[0] !== methodFrame || frame.length < headerBytes + 4) return false;
  const method = frame.readUInt16BE(headerBytes + 2);
  return (
    frame.readUInt16BE(headerBytes) === basicClass &&
    (method === ackMethod || method === nackMethod)
  );
}
