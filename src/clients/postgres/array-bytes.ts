/** What the elements of an array are, by the name that a statement casts the parameter to, with PostgreSQL's numbers of these types. */
const oids = { text: 25, bigint: 20, boolean: 16 } as const;

export type ElementType = keyof typeof oids;

type Element = string | number | boolean | null;

const headBytes = 20;
const lengthBytes = 4;
const none = -1;
/** A number's upper half is so many times its lower one. */
const half = 2 ** 32;

/**
 * An array as the server's `array_send` writes it and `array_recv` reads it: nothing is quoted, and neither side goes through the
 * texts sign by sign, of which most here are JSON. Errors: `TypeError` for what is not of this type.
 */
export function arrayBytes(type: ElementType, elements: readonly Element[]): Buffer {
  const bytes = Buffer.allocUnsafe(
    elements.reduce<number>((sum, element) => sum + lengthBytes + sizeOf(type, element), headBytes),
  );
  let at = bytes.writeInt32BE(1);
  at = bytes.writeInt32BE(elements.includes(null) ? 1 : 0, at);
  at = bytes.writeInt32BE(oids[type], at);
  at = bytes.writeInt32BE(elements.length, at);
  at = bytes.writeInt32BE(1, at);
  for (const element of elements) at = write(bytes, at, { type, element });
  return bytes;
}

function sizeOf(type: ElementType, element: Element): number {
  if (element === null) return 0;
  if (type === "text") return Buffer.byteLength(String(element));
  return type === "bigint" ? 8 : 1;
}

/** Where the next one begins. */
function write(
  bytes: Buffer,
  at: number,
  { type, element }: { readonly type: ElementType; readonly element: Element },
): number {
  if (element === null) return bytes.writeInt32BE(none, at);
  const from = at + lengthBytes;
  if (type !== "text") {
    bytes.writeInt32BE(sizeOf(type, element), at);
    return writeValue(bytes, from, { type, element });
  }
  const size = bytes.write(String(element), from);
  bytes.writeInt32BE(size, at);
  return from + size;
}

function writeValue(
  bytes: Buffer,
  at: number,
  { type, element }: { readonly type: "bigint" | "boolean"; readonly element: Element },
): number {
  if (type === "boolean" && typeof element === "boolean")
    return bytes.writeUInt8(element ? 1 : 0, at);
  if (type === "boolean" || !isWhole(element))
    throw new TypeError(`${String(element)} is no ${type} of the database`);
  return bytes.writeUInt32BE(element >>> 0, bytes.writeInt32BE(Math.floor(element / half), at));
}

function isWhole(element: Element): element is number {
  return Number.isSafeInteger(element);
}
