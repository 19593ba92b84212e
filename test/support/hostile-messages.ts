/** A message that must not be taken for a command, whatever it costs its sender. */
export interface HostileMessage {
  readonly name: string;
  readonly body: Buffer;
  readonly contentType?: string;
}

const kibibyte = 1024;
/** As the contract declares it. */
const largestBytes = 256 * kibibyte;

const good = {
  specversion: "1.0",
  id: "hostile",
  source: "hostile",
  type: "environment.update",
  subject: "calm",
  data: { description: "no" },
};

/** Poison: what no sender means, each in the middle of what others mean. */
export function poison(): readonly HostileMessage[] {
  const texts: Readonly<Record<string, string>> = {
    "an empty body": "",
    "no JSON": "environment.create shop",
    "half a JSON": JSON.stringify(good).slice(0, 40),
    "two JSONs": JSON.stringify(good) + JSON.stringify(good),
    "a number": "42",
    null: "null",
    "an array": JSON.stringify([good]),
    "a text": JSON.stringify(JSON.stringify(good)),
    "no id": JSON.stringify({ ...good, id: undefined }),
    "an id that is a number": JSON.stringify({ ...good, id: 7 }),
    "an id of 300 characters": JSON.stringify({ ...good, id: "i".repeat(300) }),
    "another version": JSON.stringify({ ...good, specversion: "2.0" }),
    "a type that there is not": JSON.stringify({ ...good, type: "environment.explode" }),
    "a type of Object's": JSON.stringify({ ...good, type: "constructor" }),
    "data that is a text": JSON.stringify({ ...good, data: "all" }),
    "data nobody knows": JSON.stringify({ ...good, data: { sudo: true } }),
    "a prototype": JSON.stringify(good).replace('"data":{', '"data":{"__proto__":{"admin":true},'),
    "a negative sequence": JSON.stringify({ ...good, ifsequence: -1 }),
    "a sequence past all numbers": JSON.stringify(good).replace("{", '{"ifsequence":1e400,'),
    "half a surrogate": JSON.stringify({ ...good, subject: "\ud800" }),
    "a NUL in its subject": JSON.stringify({ ...good, subject: "calm\0" }),
    "ways up the tree": JSON.stringify({ ...good, subject: "../../etc/passwd" }),
    "a command line": JSON.stringify({ ...good, subject: "--upload-pack=touch /tmp/x" }),
    "arrays 10,000 deep": deep("[", "]"),
    "objects 10,000 deep": deep('{"a":', "}"),
  };
  const bytes: Readonly<Record<string, Buffer>> = {
    "bytes that are no UTF-8": Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x28]),
    "a compressed body": Buffer.from([0x1f, 0x8b, 0x08, 0x00, 0x00]),
  };
  return [
    ...Object.entries(texts).map(([name, text]) => ({ name, body: Buffer.from(text) })),
    ...Object.entries(bytes).map(([name, body]) => ({ name, body })),
    { name: "another form", body: Buffer.from(JSON.stringify(good)), contentType: "text/xml" },
  ];
}

/** Past the limit of a message, by one byte and by far. */
export function oversize(): readonly HostileMessage[] {
  return [
    { name: "one byte too many", body: filled(largestBytes + 1) },
    { name: "four times too many", body: filled(4 * largestBytes) },
  ];
}

function filled(bytes: number): Buffer {
  const empty = JSON.stringify({ ...good, data: { description: "" } }).length;
  const description = "x".repeat(bytes - empty);
  return Buffer.from(JSON.stringify({ ...good, data: { description } }));
}

/** A message about what there is not, with some of its bytes changed, so that it may be anything. */
export function mutated(random: () => number, id: string): HostileMessage {
  const body = Buffer.from(JSON.stringify({ ...good, id, subject: "nowhere" }));
  const changes = 1 + Math.floor(random() * 4);
  for (let change = 0; change < changes; change += 1)
    body[Math.floor(random() * body.length)] = Math.floor(random() * 256);
  return { name: `mutated ${id}`, body };
}

function deep(open: string, close: string): string {
  const most = 10_000;
  const inner = `${open.repeat(most)}1${close.repeat(most)}`;
  return JSON.stringify(good).replace('"data":{', `"data":{"deep":${inner},`);
}
