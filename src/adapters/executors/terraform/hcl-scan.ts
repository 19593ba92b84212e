/**
 * A shallow look at HCL: which blocks there are, with their labels, and which attributes are plain strings. Comments,
 * heredocs and whatever stands inside strings are passed over. It decides nothing that Terraform would decide: a file
 * that it misunderstands gives blocks too many or too few, never an error.
 */
export interface Block {
  /** Names of the blocks around it, outermost first, and its own: `["terraform", "backend"]`. */
  readonly path: readonly string[];
  readonly labels: readonly string[];
  readonly line: number;
  /** Attributes whose value is one quoted string without interpolation. */
  readonly strings: ReadonlyMap<string, string>;
  /** Names of all attributes. */
  readonly attributes: readonly string[];
}

export function scanBlocks(text: string): readonly Block[] {
  const found: OpenBlock[] = [];
  const open: (OpenBlock | null)[] = [];
  let statement: Token[] = [];
  for (const token of tokens(text)) {
    if (token.text === "{" && token.kind === "mark") {
      const block = blockOf(statement, open);
      if (block !== null) found.push(block);
      open.push(block);
      statement = [];
    } else if (token.text === "}" && token.kind === "mark") {
      addAttribute(statement, open.at(-1));
      open.pop();
      statement = [];
    } else if (token.text === "\n" && token.kind === "mark") {
      addAttribute(statement, open.at(-1));
      statement = [];
    } else statement.push(token);
  }
  return found;
}

interface OpenBlock extends Block {
  readonly strings: Map<string, string>;
  readonly attributes: string[];
}

interface Token {
  readonly kind: "word" | "string" | "mark";
  readonly text: string;
  readonly line: number;
}

/** `name "label" {` opens a block; `name = {` opens a value, whose inside is none of our business. */
function blockOf(
  statement: readonly Token[],
  open: readonly (OpenBlock | null)[],
): OpenBlock | null {
  const [name, ...labels] = statement;
  const around = open.at(-1);
  if (around === null || name?.kind !== "word" || labels.some(({ kind }) => kind === "mark")) {
    if (around) addName(statement, around);
    return null;
  }
  return {
    path: [...(around?.path ?? []), name.text],
    labels: labels.map(({ text }) => text),
    line: name.line,
    strings: new Map(),
    attributes: [],
  };
}

function addName([name, equals]: readonly Token[], block: OpenBlock): void {
  if (name?.kind === "word" && equals?.text === "=") block.attributes.push(name.text);
}

function addAttribute(statement: readonly Token[], block: OpenBlock | null | undefined): void {
  if (!block) return;
  addName(statement, block);
  const [name, equals, value] = statement;
  if (statement.length !== 3 || name?.kind !== "word" || equals?.text !== "=") return;
  if (value?.kind === "string") block.strings.set(name.text, value.text);
}

const pieces =
  /(?<skip>[ \t\r\ufeff]+|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|<<-?(?<here>[\p{L}_][\p{L}\p{N}_-]*)[ \t\r]*\n|(?<word>[\p{L}_][\p{L}\p{N}_-]*)|(?<quote>")|(?<mark>[\s\S])/gu;

function* tokens(text: string): Generator<Token> {
  let line = 1;
  let at = 0;
  while (at < text.length) {
    pieces.lastIndex = at;
    const match = pieces.exec(text);
    const groups = match?.groups ?? {};
    let end = at + (match?.[0].length ?? 1);
    if (groups["here"] !== undefined) {
      end = heredocEnd(text, end, groups["here"]);
      yield { kind: "mark", text: "<<", line };
    } else if (groups["quote"] !== undefined) {
      end = stringEnd(text, end);
      yield { kind: "string", text: text.slice(at + 1, end - 1), line };
    } else if (groups["word"] !== undefined) {
      yield { kind: "word", text: groups["word"], line };
    } else if (groups["mark"] !== undefined) {
      yield { kind: "mark", text: groups["mark"], line };
    }
    line += text.slice(at, end).split("\n").length - 1;
    at = end;
  }
}

/** The position after the closing quote. Inside `${ … }` and `%{ … }` further strings may stand. */
function stringEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length) {
    const character = text[at];
    const next = text[at + 1];
    if (character === '"') return at + 1;
    if (character === "\\") at += 2;
    else if ((character === "$" || character === "%") && next === character) at += 2;
    else if ((character === "$" || character === "%") && next === "{") at = braceEnd(text, at + 2);
    else at += 1;
  }
  return text.length;
}

function braceEnd(text: string, start: number): number {
  let depth = 1;
  let at = start;
  while (at < text.length && depth > 0) {
    const character = text[at];
    if (character === '"') {
      at = stringEnd(text, at + 1);
      continue;
    }
    if (character === "{") depth += 1;
    if (character === "}") depth -= 1;
    at += 1;
  }
  return at;
}

/** Where the line of the closing word ends; its newline stays, so that the statement ends. */
function heredocEnd(text: string, start: number, word: string): number {
  let at = start;
  while (at < text.length) {
    const newline = text.indexOf("\n", at);
    const end = newline === -1 ? text.length : newline;
    if (text.slice(at, end).trim() === word) return end;
    at = end + 1;
  }
  return text.length;
}
