/** Values shorter than this are not masked: they would blot out ordinary text and protect nothing. */
const shortestMasked = 4;

/** Replaces known secret values in texts, also in the forms that programs print them in. */
export class Mask {
  readonly #needles = new Set<string>();
  readonly #replacement: string;

  constructor(replacement = "(secret)") {
    this.#replacement = replacement;
  }

  /** From now on this value is masked: as it is, line by line, and in its base64, URL and JSON forms. */
  add(value: string): void {
    const lines = value.split(/\r?\n/u).filter((line) => line.trim().length >= shortestMasked);
    for (const plain of [value, ...lines]) {
      if (plain.length < shortestMasked) continue;
      for (const form of formsOf(plain)) this.#needles.add(form);
    }
  }

  apply(text: string): string {
    if (this.#needles.size === 0) return text;
    let masked = text;
    for (const needle of this.#longestFirst()) {
      if (masked.includes(needle)) masked = masked.replaceAll(needle, this.#replacement);
    }
    return masked;
  }

  /** A value that contains another must go first, or its rest would stay. */
  #longestFirst(): readonly string[] {
    return [...this.#needles].sort((a, b) => b.length - a.length);
  }
}

function formsOf(plain: string): readonly string[] {
  const bytes = Buffer.from(plain, "utf8");
  const json = JSON.stringify(plain).slice(1, -1);
  const forms = [plain, json, encodeURIComponent(plain), bytes.toString("hex"), ...base64Forms(bytes)];
  return forms.filter((form) => form.length >= shortestMasked);
}

/** Within a longer text the base64 of a value depends on where it starts; these are the parts that never change. */
function base64Forms(bytes: Buffer): readonly string[] {
  const whole = bytes.toString("base64").replace(/=+$/u, "");
  const shifted = [1, 2].map((offset) => {
    const padded = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64").replace(/=+$/u, "");
    return padded.slice(offset === 1 ? 2 : 3, -1);
  });
  const inner = whole.slice(0, -1);
  return [whole, inner, ...shifted].filter((form) => form.length >= 8).flatMap((form) => [form, urlSafe(form)]);
}

function urlSafe(text: string): string {
  return text.replaceAll("+", "-").replaceAll("/", "_");
}
