import type { Lens } from "./proxy.ts";

const classOfBasic = 60;
const methodAck = 80;

/** Takes confirms out of what a broker sends to its client, while `isHungry` says so. Other frames pass whole. */
export function confirmEater(isHungry: () => boolean, eaten: () => void): Lens {
  return () => {
    let rest: Buffer = Buffer.alloc(0);
    return (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      const passed: Buffer[] = [];
      for (;;) {
        // type (1), channel (2), size (4), payload, end (1)
        if (rest.length < 7) break;
        const length = 7 + rest.readUInt32BE(3) + 1;
        if (rest.length < length) break;
        const frame = rest.subarray(0, length);
        rest = rest.subarray(length);
        if (isHungry() && isConfirm(frame)) eaten();
        else passed.push(frame);
      }
      return Buffer.concat(passed);
    };
  };
}

function isConfirm(frame: Buffer): boolean {
  return (
    frame[0] === 1 &&
    frame.length >= 11 &&
    frame.readUInt16BE(7) === classOfBasic &&
    frame.readUInt16BE(9) === methodAck
  );
}
